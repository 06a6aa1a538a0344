"""Tensors of the Open Inference Protocol to numpy and back: raw bytes, and gRPC's typed lists.

Source: the protocol's "Tensor Data" section, and Triton's binary tensor data extension: little-endian, row-major,
without padding; an element of BYTES is its length as u32 and its bytes. FP16 and BF16 have no typed list.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from types import MappingProxyType

import numpy as np
from google.protobuf.message import DecodeError

from serving.errors import InvalidInputError, UnsupportedError
from serving.signatures import DType, Signature, TensorSpec, format_shape
from serving.wire.atelier_oip_pb2 import InferTensorContents, UnpackedTensorContents
from serving.wire.tensors import MIXED_ENCODINGS, reshape
from serving.wire.turns import VALUES_AT_ONCE, give_way

_LENGTH = struct.Struct("<I")
_MAX_SIZE = 2**63 - 1
TYPED_FIELD = MappingProxyType(
    {
        "float32": "fp32_contents",
        "float64": "fp64_contents",
        "string": "bytes_contents",
        "int64": "int64_contents",
        "bool": "bool_contents",
        "uint64": "uint64_contents",
        **dict.fromkeys(("int8", "int16", "int32"), "int_contents"),
        **dict.fromkeys(("uint8", "uint16", "uint32"), "uint_contents"),
    }
)
"""The list that gRPC's typed contents hold a dtype in; float16 and bfloat16 have none."""
RAW_LISTS = ("fp32_contents", "fp64_contents")
"""Those whose numbers travel as they lie in memory."""


def check_datatypes(signature: Signature) -> None:
    """Whether the protocol has a datatype for every tensor of the signature.

    Raises:
        UnsupportedError: it has none for one of them.
    """
    spec = signature.predict_only_tensor
    if spec is not None:
        raise UnsupportedError(
            f'"{spec.name}": the Open Inference Protocol has no {spec.dtype} values, '
            "ask TensorFlow Serving's PredictionService.Predict over gRPC"
        )


def check_names(received: Sequence[str], signature: Signature) -> None:
    """Holds the inputs' names against the signature's.

    Raises:
        InvalidInputError: one is missing, unknown, or there twice.
    """
    if len(received) != len(signature.inputs) or signature.input_names != set(received):
        expected = ", ".join(sorted(signature.input_names))
        raise InvalidInputError(f"inputs: expected {expected}, received {', '.join(sorted(received)) or 'none'}")


def check_tensor(spec: TensorSpec, datatype: str, shape: tuple[int, ...]) -> None:
    """Holds what a request says of a tensor against its specification.

    Raises:
        InvalidInputError: another datatype, or a shape that does not fit.
    """
    if datatype != spec.element.oip:
        raise InvalidInputError(
            f'input "{spec.name}": expected datatype {spec.element.oip}, received {datatype or "none"}'
        )
    if not spec.accepts(shape) or (shape and not 0 <= min(shape) <= max(shape) <= _MAX_SIZE):
        raise InvalidInputError(
            f'input "{spec.name}": expected shape {format_shape(spec.shape)}, received {format_shape(shape)}'
        )


def find_outputs(names: Iterable[str], signature: Signature, model_name: str) -> list[TensorSpec]:
    """The outputs of these names, in this order; all of them where there are no names.

    Raises:
        InvalidInputError: the model has no such output, or the same is asked for twice.
    """
    known = {spec.name: spec for spec in signature.outputs}
    found: dict[str, TensorSpec] = {}
    for name in names:
        if name not in known or name in found:
            why = "asked for twice" if name in known else f"expected one of {', '.join(sorted(known))}"
            raise InvalidInputError(f"unexpected inference output '{name}' for model '{model_name}': {why}")
        found[name] = known[name]
    return list((found or known).values())


def decode_raw(content: bytes | memoryview, spec: TensorSpec, shape: tuple[int, ...]) -> np.ndarray:
    """Raw bytes as an array of a checked shape; numbers are a read-only view of them where they are aligned.

    Raises:
        InvalidInputError: too few or too many bytes, lengths of strings that do not add up, or booleans that are none.
    """
    element = spec.element
    count = math.prod(shape)
    if element.is_string:
        return reshape(_decode_strings(content, spec, count), spec, shape)
    expected = count * element.numpy.itemsize
    if len(content) != expected:
        raise InvalidInputError(
            f'input "{spec.name}": expected {expected} bytes for shape {format_shape(shape)} of {element.oip}, '
            f"received {len(content)}"
        )
    array = np.frombuffer(content, np.uint8 if element.name == "bool" else element.numpy)
    if element.name == "bool":
        if count and array.max() > 1:
            raise InvalidInputError(f'input "{spec.name}": expected bytes 0 and 1 for BOOL, received {array.max()}')
        array = array.view(np.bool_)
    return reshape(array if array.flags.aligned else array.copy(), spec, shape)


def encode_raw(array: np.ndarray) -> bytes:
    """An output as raw bytes."""
    if array.dtype != object:
        return array.tobytes()
    return b"".join(_LENGTH.pack(len(value)) + value for value in array.ravel().tolist())


def decode_contents(contents: InferTensorContents, spec: TensorSpec, shape: tuple[int, ...]) -> np.ndarray:
    """Typed contents as an array of a checked shape.

    Raises:
        InvalidInputError: not as many values as the shape has, in another list, or too large for the dtype.
    """
    element = spec.element
    field = TYPED_FIELD.get(element.name)
    if field is None:
        raise InvalidInputError(f'input "{spec.name}": expected {element.oip} in raw_input_contents, received none')
    count = math.prod(shape)
    values = getattr(contents, field)
    if field in RAW_LISTS:
        packed = b"".join(values)
        if len(packed) == count * element.numpy.itemsize:
            return reshape(np.frombuffer(packed, element.numpy), spec, shape)
        values = _unpacked(contents, field, spec)
        if packed and len(values) * element.numpy.itemsize != len(packed):
            raise InvalidInputError(f'input "{spec.name}": {MIXED_ENCODINGS} in {field}')
    if len(values) != count:
        others = [found.name for found, _ in contents.ListFields() if found.name != field]
        received = f"{len(values)}{f' and {others[0]}' if others else ''}"
        raise InvalidInputError(
            f'input "{spec.name}": expected {count} values in {field} for shape {format_shape(shape)}, '
            f"received {received}"
        )
    if field in {"int_contents", "uint_contents"}:
        return reshape(_narrow(np.array(values, np.int64), spec, field), spec, shape)
    array = np.empty(count, element.numpy)
    array[:] = values
    return reshape(array, spec, shape)


def encode_contents(contents: InferTensorContents, array: np.ndarray, dtype: DType) -> None:
    """Writes an output into an empty message; `dtype` has a typed list."""
    field = TYPED_FIELD[dtype.name]
    if field in RAW_LISTS:
        getattr(contents, field).append(array.tobytes())
    else:
        getattr(contents, field).extend(array.ravel().tolist())


def _decode_strings(content: bytes | memoryview, spec: TensorSpec, count: int) -> np.ndarray:
    if count * _LENGTH.size > len(content):
        raise InvalidInputError(
            f'input "{spec.name}": expected {count} strings, each behind its length of {_LENGTH.size} bytes, '
            f"received {len(content)} bytes"
        )
    array = np.empty(count, object)
    start = 0
    for index in range(count):
        if index and index % VALUES_AT_ONCE == 0:
            give_way()
        end = start + _LENGTH.size
        if end <= len(content):
            end += _LENGTH.unpack_from(content, start)[0]
        if end > len(content):
            raise InvalidInputError(
                f'input "{spec.name}": expected {count} strings, '
                f"received {len(content)} bytes, which end within string {index}"
            )
        array[index] = bytes(content[start + _LENGTH.size : end])
        start = end
    if start != len(content):
        raise InvalidInputError(
            f'input "{spec.name}": expected {count} strings in {start} bytes, received {len(content)} bytes'
        )
    return array


def _unpacked(contents: InferTensorContents, field: str, spec: TensorSpec) -> Sequence[float]:
    """Numbers that were not packed: our message class then kept them as unknown fields."""
    try:
        values: Sequence[float] = getattr(UnpackedTensorContents.FromString(contents.SerializeToString()), field)
    except DecodeError as error:
        raise InvalidInputError(
            f'input "{spec.name}": {field} is not a list of whole {spec.element.oip} values'
        ) from error
    return values


def _narrow(values: np.ndarray, spec: TensorSpec, field: str) -> np.ndarray:
    """Small integers travel as 32-bit ones."""
    narrowed = values.astype(spec.element.numpy)
    if not np.array_equal(narrowed, values):
        outside = values[narrowed != values][0]
        raise InvalidInputError(
            f'input "{spec.name}": expected {spec.element.oip} values in {field}, received {outside}'
        )
    return narrowed
