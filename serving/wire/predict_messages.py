"""Predict messages whose every byte but the numbers is known from earlier ones, which is what clients send all day.

A message of one tensor ends with its numbers, where fields stand in the order of their numbers, as every protobuf
library writes them. What stands before them, the prefix, holds all tags and lengths: a message of the same length that
begins with the same prefix is parsed the same way, so its numbers are its rest. Answers are written alike.
Sources: https://protobuf.dev/programming-guides/encoding/ and tensorflow_serving/apis/predict.proto.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from google.protobuf.message import DecodeError

from serving.errors import InvalidInputError
from serving.signatures import TENSORFLOW_DTYPES, Signature, TensorSpec
from serving.wire.atelier_tfs_pb2 import PredictRequest, PredictResponse, Tensor
from serving.wire.tensors import RAW_FIELDS, decode_tensor, encode_tensor

_MAX_MESSAGE_BYTES = 1024 * 1024
_MAX_PREFIX_BYTES = 512
_MAX_OF_ONE_SIZE = 4
_MAX_SIZES = 256
_KNOWN_HEADS = 1024
_SHORT_BYTES = 4096
_RAW_CHARS = "".join(np.dtype(name).char for name in RAW_FIELDS)

MeaningT = TypeVar("MeaningT")


@dataclass(frozen=True, slots=True)
class Seen(Generic[MeaningT]):
    """A request but for its numbers: what it means to whoever had it remembered, its input's name and shape."""

    prefix: bytes
    meaning: MeaningT
    name: str
    shape: tuple[int, ...]
    dtype_number: int

    def decode(self, message: bytes, specs: Sequence[TensorSpec]) -> dict[str, np.ndarray] | None:
        """The inputs of another request with this prefix, read-only; None where they do not fit the signature's."""
        spec = specs[0]
        if len(specs) > 1 or spec.name != self.name or spec.element.tensorflow != self.dtype_number:
            return None
        if not spec.accepts(self.shape):
            return None
        return {self.name: np.frombuffer(message[len(self.prefix) :], spec.element.numpy).reshape(self.shape)}


class SeenRequests(Generic[MeaningT]):
    """Prefixes of requests by the lengths of their messages; a bounded number of each."""

    def __init__(self) -> None:
        self._of_size: dict[int, list[Seen[MeaningT]]] = {}

    def find(self, message: bytes) -> Seen[MeaningT] | None:
        """What is known of a request like this one."""
        for seen in self._of_size.get(len(message), ()):
            if message.startswith(seen.prefix):
                return seen
        return None

    def remember(
        self, message: bytes, request: PredictRequest, arrays: Mapping[str, np.ndarray], meaning: MeaningT
    ) -> None:
        """Has requests like this one found, where they can be; `arrays` are its tensors, decoded."""
        known = self._of_size.get(len(message), [])
        if len(arrays) != 1 or len(known) >= _MAX_OF_ONE_SIZE or len(message) > _MAX_MESSAGE_BYTES:
            return
        ((name, array),) = arrays.items()
        tensor = request.inputs[name]
        numbers = _numbers_of(tensor, array.dtype)
        prefix = message[: len(message) - len(numbers)]
        if not numbers or len(numbers) != array.nbytes or len(prefix) > _MAX_PREFIX_BYTES:
            return
        if not _is_prefix(prefix, numbers, array.dtype, request, name):
            return
        if len(self._of_size) >= _MAX_SIZES:
            self._of_size.clear()
        self._of_size[len(message)] = [*known, Seen(prefix, meaning, name, array.shape, tensor.dtype)]


def decode_message(message: bytes, signature: Signature, max_tensor_bytes: int) -> dict[str, np.ndarray]:
    """The inputs of a serialized request.

    Raises:
        DecodeError: it is none.
        InvalidInputError: see `decode_inputs`.
    """
    return decode_inputs(PredictRequest.FromString(message), signature, max_tensor_bytes)


def decode_inputs(request: PredictRequest, signature: Signature, max_tensor_bytes: int) -> dict[str, np.ndarray]:
    """The request's tensors as arrays of the signature's dtypes and shapes; defaults for those that it leaves out.

    Raises:
        InvalidInputError: names, dtypes or shapes do not fit, or a tensor would take more than `max_tensor_bytes`.
    """
    tensors = request.inputs
    # Comparing `tensors.keys()` would take longer than decoding does.
    if len(tensors) != len(signature.inputs) or not all(spec.name in tensors for spec in signature.inputs):
        return _decode_with_defaults(tensors, signature, max_tensor_bytes)
    return {spec.name: decode_tensor(tensors[spec.name], spec, max_bytes=max_tensor_bytes) for spec in signature.inputs}


def _decode_with_defaults(
    tensors: Mapping[str, Tensor], signature: Signature, max_tensor_bytes: int
) -> dict[str, np.ndarray]:
    """What is sent, and the defaults of the other inputs (GetInputValues in tensorflow/cc/saved_model/util.cc).

    Where requests share a run, all inputs have to have as many rows: a default of one row is taken for every row.
    """
    sent, defaults = set(tensors), signature.defaults
    if not sent <= signature.input_names <= sent | defaults.keys():
        raise InvalidInputError(_input_names_differ(sent, signature))
    arrays = {}
    for spec in signature.inputs:
        tensor = tensors[spec.name] if spec.name in sent else Tensor.FromString(defaults[spec.name])
        arrays[spec.name] = decode_tensor(tensor, spec, max_bytes=max_tensor_bytes)
    rows = {len(arrays[name]) for name in sent} if signature.is_batched else set()
    if len(rows) == 1:
        (count,) = rows
        arrays |= {
            name: _repeated(name, arrays[name], count, max_tensor_bytes) for name in signature.input_names - sent
        }
    return arrays


def _repeated(name: str, array: np.ndarray, rows: int, max_bytes: int) -> np.ndarray:
    """The one row as many times, as a view; an array of more rows as it is."""
    if len(array) != 1:
        return array
    if rows * array.nbytes > max_bytes:
        raise InvalidInputError(
            f'input "{name}": expected at most {max_bytes:,} bytes, '
            f"its default of {array.nbytes:,} bytes is for {rows:,} rows"
        )
    return np.broadcast_to(array, (rows, *array.shape[1:]))


def written_one_by_one(outputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs that `encode_outputs` writes value by value, the others being copied."""
    return [array for array in outputs.values() if array.dtype.char not in _RAW_CHARS]


def encode_outputs(outputs: Mapping[str, np.ndarray], specs: Sequence[TensorSpec], more: bytes = b"") -> bytes:
    """The `outputs` of a PredictResponse, serialized: those of `specs` that there are; then `more` of its fields.

    Large arrays are copied once.
    """
    parts: list[bytes | memoryview] = []
    for spec in specs:
        array = outputs.get(spec.name)
        if array is None:
            continue
        if spec.dtype in RAW_FIELDS:
            parts += (_head(spec.name, spec.dtype, array.shape), _content(array))
        else:
            response = PredictResponse()
            encode_tensor(response.outputs[spec.name], array, spec.element)
            parts.append(response.SerializeToString())
    return b"".join((*parts, more))


def _content(array: np.ndarray) -> bytes | memoryview:
    """Its numbers as they travel; a short array is copied sooner than looked at."""
    return array.tobytes() if array.nbytes <= _SHORT_BYTES else np.ascontiguousarray(array).data


@functools.lru_cache(maxsize=_KNOWN_HEADS)
def _head(name: str, dtype: str, shape: tuple[int, ...]) -> bytes:
    """What stands before the numbers of an output of this shape."""
    response = PredictResponse()
    element = TENSORFLOW_DTYPES[dtype]
    zeros = np.zeros(shape, element.numpy)
    encode_tensor(response.outputs[name], zeros, element)
    message = response.SerializeToString()
    return message[: len(message) - math.prod(shape) * zeros.itemsize]


def _input_names_differ(sent: set[str], signature: Signature) -> str:
    wanted = signature.input_names
    return (
        f"input size does not match signature: {len(sent)}!={len(wanted)} "
        f"len({{{','.join(sorted(sent))}}}) != len({{{','.join(sorted(wanted))}}}). "
        f"Sent extra: {{{','.join(sorted(sent - wanted))}}}. "
        f"Missing but required: {{{','.join(sorted(wanted - sent - signature.defaults.keys()))}}}."
    )


def _numbers_of(tensor: Tensor, dtype: np.dtype[Any]) -> bytes:
    """The tensor's numbers as they travel; empty where there are none of its dtype, or not in one piece."""
    if dtype.hasobject:
        return b""
    if tensor.tensor_content:
        return tensor.tensor_content
    pieces: Sequence[bytes] = getattr(tensor, RAW_FIELDS[dtype.name]) if dtype.name in RAW_FIELDS else ()
    return pieces[0] if len(pieces) == 1 else b""


def _is_prefix(prefix: bytes, numbers: bytes, dtype: np.dtype[Any], request: PredictRequest, name: str) -> bool:
    """Whether only numbers come after it: with all their bits turned over, they and nothing else differ."""
    turned = np.invert(np.frombuffer(numbers, np.uint8)).tobytes()
    try:
        other = PredictRequest.FromString(prefix + turned)
    except DecodeError:
        return False
    return (
        name in other.inputs
        and _numbers_of(other.inputs[name], dtype) == turned
        and _rest(other, name) == _rest(request, name)
    )


def _rest(request: PredictRequest, name: str) -> bytes:
    """The request without the numbers of its input."""
    copy = PredictRequest()
    copy.CopyFrom(request)
    for field in ("tensor_content", *RAW_FIELDS.values()):
        copy.inputs[name].ClearField(field)
    return copy.SerializeToString(deterministic=True)
