"""The parameters of a request, of its inputs and of its outputs, as far as they mean something here.

Any others are accepted and change nothing, as the protocol has it.
"""

from __future__ import annotations

from collections.abc import Mapping

from serving.errors import InvalidInputError, UnsupportedError
from serving.signatures import DEFAULT_SIGNATURE
from serving.wire.atelier_oip_pb2 import InferParameter

Parameters = Mapping[str, object]

_SHARED_MEMORY = "shared_memory_region"
_MAX_TIMEOUT_US = 2**63 - 1


def parameters_of(message: Mapping[str, InferParameter]) -> Parameters:
    """gRPC's parameters as plain values; one without a value is None."""
    found = {}
    for name, parameter in message.items():
        choice = parameter.WhichOneof("parameter_choice")
        found[name] = getattr(parameter, choice) if choice else None
    return found


def refuse_unsupported(parameters: Parameters, where: str) -> None:
    """Nobody should believe that a parameter was heeded that was not.

    Raises:
        UnsupportedError: one that asks for something this gateway does not do.
    """
    if _SHARED_MEMORY in parameters:
        raise UnsupportedError(
            f"{where}: this gateway does not offer shared memory, which reaches no further than one machine: "
            "send the data"
        )


def signature_name(parameters: Parameters) -> str:
    """The request's `signature_name`, which the protocol does not know: `serving_default` without one.

    Raises:
        InvalidInputError: not a string.
    """
    name = parameters.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(name, str):
        raise InvalidInputError(f"signature_name: expected a string, received {str(name)[:40]}")
    return name or DEFAULT_SIGNATURE


def version_label(parameters: Parameters) -> str | None:
    """The request's `version_label`, which the protocol does not know either: None without one.

    Raises:
        InvalidInputError: not a string.
    """
    label = parameters.get("version_label")
    if label is None:
        return None
    if not isinstance(label, str):
        raise InvalidInputError(f"version_label: expected a string, received {str(label)[:40]}")
    return label or None


def priority(parameters: Parameters) -> int | None:
    """The request's `priority` as Triton numbers them, 1 first; without one, or with 0, there is none.

    Raises:
        InvalidInputError: not a whole number from 0.
    """
    value = parameters.get("priority")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInputError(f"priority: expected a whole number from 0, received {str(value)[:40]}")
    return value or None


def timeout_s(parameters: Parameters) -> float | None:
    """The request's `timeout`, which travels in microseconds; without one, or with 0, there is none.

    Raises:
        InvalidInputError: not a whole number from 0.
    """
    value = parameters.get("timeout")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_TIMEOUT_US:
        raise InvalidInputError(f"timeout: expected a whole number of microseconds from 0, received {str(value)[:40]}")
    return value / 1e6 if value else None
