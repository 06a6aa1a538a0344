"""What the Open Inference Protocol says of the server and its models, the same over gRPC and REST.

Everything but `predict` answers with JSON documents; gRPC's messages have the same fields. Sources: the protocol's
specification, and Triton's extensions "model configuration", "statistics" and "model repository".
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version as package_version
from types import MappingProxyType
from typing import Any

from serving.batching.terms import DEFAULT_TERMS, Priority, Terms
from serving.control.model_states import ModelStates
from serving.dataplane import DataPlane, LateDecode, Prediction, Target
from serving.errors import InvalidInputError, ModelNotFoundError, ServingError, UnavailableError
from serving.frontends.health import Health
from serving.frontends.http import loop_time
from serving.repository.manager import Manager
from serving.repository.records import VersionStatus
from serving.repository.servable import Servable
from serving.repository.transition import State
from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec
from serving.wire.oip_parameters import Parameters, priority, signature_name, timeout_s, version_label
from serving.wire.oip_tensors import check_datatypes

EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "statistics")
_MAX_DIGITS = 19
_STATE_NAMES = MappingProxyType(
    {
        State.START: "LOADING",
        State.LOADING: "LOADING",
        State.AVAILABLE: "READY",
        State.UNLOADING: "UNLOADING",
        State.END: "UNAVAILABLE",
    }
)


def parse_version(version: str) -> int | None:
    """A version as the protocol writes it; an empty one means the newest.

    Raises:
        InvalidInputError: not a whole number.
    """
    if not version:
        return None
    if not (version.isascii() and version.isdigit() and len(version) <= _MAX_DIGITS):
        raise InvalidInputError(f"model version: expected a whole number, received {version[:40]!r}")
    return int(version)


class OipModels:
    """The server and its models, by name and by version as the protocol writes them."""

    def __init__(self, plane: DataPlane, manager: Manager, states: ModelStates, health: Health) -> None:
        self._plane = plane
        self._manager = manager
        self._states = states
        self._health = health
        self._server_version = package_version("atelier")

    async def predict(
        self,
        name: str,
        version: str,
        decode: LateDecode,
        parameters: Parameters,
        *,
        api: str,
        terms: Terms = DEFAULT_TERMS,
    ) -> Prediction:
        """Answers an inference; of its parameters, `signature_name`, `version_label`, `timeout` and `priority` mean
        something.

        Raises:
            ServingError: every cause of serving/errors.py.
        """
        number = parse_version(version)
        signature, label = signature_name(parameters), version_label(parameters)
        if number is not None and label is not None:
            raise InvalidInputError("expected either a version or a version_label, received both")
        timeout = timeout_s(parameters)
        if timeout is not None:
            ends_at = loop_time() + timeout
            deadline = ends_at if terms.deadline is None else min(terms.deadline, ends_at)
            terms = replace(terms, deadline=deadline)
        asked = priority(parameters)
        if asked is not None:
            terms = replace(terms, priority=Priority.LOW if asked > 1 else Priority.HIGH)
        try:
            return await self._plane.predict(Target(name, number, label, signature), decode, api=api, terms=terms)
        except ModelNotFoundError as error:
            raise self._unknown(name, number) from error

    def server_ready(self) -> bool:
        """Whether the gateway answers for all of its models."""
        return not self._health.not_ready()

    def model_ready(self, name: str, version: str) -> bool:
        """Whether the model answers, whichever worker is asked.

        Raises:
            ModelNotFoundError: no such model or version.
        """
        try:
            servable = self._resolve(name, version)
        except UnavailableError:
            return False
        except ModelNotFoundError:
            if version or not self._statuses(name):
                raise
            return False
        if not version:
            return bool(self._health.answers_for(name))
        (status,) = self._states.statuses(name, servable.version)
        return status.state is State.AVAILABLE and not self._health.draining

    def server_metadata(self) -> dict[str, Any]:
        """`ServerMetadataResponse`."""
        return {"name": "atelier", "version": self._server_version, "extensions": EXTENSIONS}

    def model_metadata(self, name: str, version: str) -> dict[str, Any]:
        """`ModelMetadataResponse`; `versions` are those that answer, free sizes are -1.

        Raises:
            ServingError: see `_described`.
        """
        servable, signature = self._described(name, version)
        available = [status.version for status in self._states.statuses(name) if status.state is State.AVAILABLE]
        return {
            "name": servable.name,
            "versions": [str(number) for number in sorted(available)],
            "platform": servable.platform,
            "inputs": [_tensor_metadata(spec) for spec in signature.inputs],
            "outputs": [_tensor_metadata(spec) for spec in signature.outputs],
        }

    def model_config(self, name: str, version: str) -> dict[str, Any]:
        """`ModelConfig`; where every tensor has a free first size, that is the batch and not among the `dims`.

        Raises:
            ServingError: see `_described`.
        """
        servable, signature = self._described(name, version)
        batched = all(spec.shape[:1] == (None,) for spec in (*signature.inputs, *signature.outputs))
        return {
            "name": servable.name,
            "platform": servable.platform,
            "backend": servable.platform.partition("_")[0],
            "version_policy": {"latest": {"num_versions": 1}},
            "max_batch_size": servable.max_batch_size(DEFAULT_SIGNATURE) if batched else 0,
            "input": [_config_tensor(spec, batched=batched) for spec in signature.inputs],
            "output": [_config_tensor(spec, batched=batched) for spec in signature.outputs],
            "dynamic_batching": {},
        }

    def statistics(self, name: str, version: str) -> dict[str, Any]:
        """`ModelStatisticsResponse`: of a version, of all of a model's, or, without a name, of all that answer."""
        if name and version:
            servables = [self._resolve(name, version)]
        else:
            names = [name] if name else [model.name for model in self._manager.models()]
            servables = [
                self._manager.resolve(one, status.version)
                for one in names
                for status in self._statuses(one)
                if status.state is State.AVAILABLE
            ]
        return {"model_stats": [_statistics(servable) for servable in servables]}

    def index(self, *, ready: bool) -> list[dict[str, str]]:
        """The models of `RepositoryIndexResponse`; only those that answer where `ready` is set."""
        return [
            {
                "name": model.name,
                "version": str(status.version),
                "state": _STATE_NAMES[status.state],
                "reason": status.error or "",
            }
            for model in self._states.models()
            for status in sorted(model.versions, key=lambda status: status.version)
            if not ready or status.state is State.AVAILABLE
        ]

    def _described(self, name: str, version: str) -> tuple[Servable, Signature]:
        """A version with the one signature that the protocol tells of.

        Raises:
            ModelNotFoundError: no such model or version.
            SignatureNotFoundError: it has no `serving_default`.
            UnsupportedError: the protocol has no datatype for one of its tensors.
        """
        servable = self._resolve(name, version)
        signature = servable.signature(DEFAULT_SIGNATURE)
        check_datatypes(signature)
        return servable, signature

    def _resolve(self, name: str, version: str) -> Servable:
        number = parse_version(version)
        if not name:
            raise InvalidInputError("expected the name of a model, received none")
        try:
            return self._manager.resolve(name, number)
        except ModelNotFoundError as error:
            raise self._unknown(name, number) from error

    def _statuses(self, name: str) -> list[VersionStatus]:
        try:
            return self._manager.statuses(name)
        except ModelNotFoundError as error:
            raise self._unknown(name, None) from error

    def _unknown(self, name: str, version: int | None) -> ServingError:
        """Why nothing answers, in the words that Triton's clients look for."""
        start = f"Request for unknown model: '{name}'"
        try:
            known = self._manager.statuses(name)
        except ModelNotFoundError:
            return ModelNotFoundError(f"{start} is not found")
        if version is None:
            return ModelNotFoundError(f"{start} has no available versions")
        if any(status.version == version for status in known):
            return UnavailableError(f"{start} version {version} is not at ready state")
        return ModelNotFoundError(f"{start} version {version} is not found")


def _tensor_metadata(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.element.oip, "shape": _sizes(spec.shape)}


def _config_tensor(spec: TensorSpec, *, batched: bool) -> dict[str, Any]:
    data_type = "TYPE_STRING" if spec.element.is_string else f"TYPE_{spec.element.oip}"
    return {"name": spec.name, "data_type": data_type, "dims": _sizes(spec.shape[1:] if batched else spec.shape)}


def _sizes(shape: tuple[int | None, ...]) -> list[int]:
    return [-1 if size is None else size for size in shape]


def _statistics(servable: Servable) -> dict[str, Any]:
    usage = servable.usage
    requests = usage.answered_requests
    return {
        "name": servable.name,
        "version": str(servable.version),
        "last_inference": int(usage.last_run_at * 1000),
        "inference_count": usage.answered_rows,
        "execution_count": usage.batches,
        "inference_stats": {
            "success": _duration(requests, usage.answered_s),
            "fail": _duration(usage.failed_requests, usage.failed_s),
            "queue": _duration(requests, usage.waited_s),
            "compute_input": _duration(requests, 0.0),
            "compute_infer": _duration(requests, usage.run_s),
            "compute_output": _duration(requests, 0.0),
            # perf_analyzer wants these of every server; nothing is cached here.
            "cache_hit": _duration(0, 0.0),
            "cache_miss": _duration(0, 0.0),
        },
    }


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": int(seconds * 1e9)}
