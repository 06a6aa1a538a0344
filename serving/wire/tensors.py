"""TensorFlow's TensorProto to numpy and back, without a Python loop over numbers.

Source of the encodings: tensorflow/core/framework/tensor.proto and Tensor::FromProto in tensor.cc: either
`tensor_content` holds all elements, or the `*_val` list of the dtype does, where a list that is too short is filled up
with its last value (with zeros where it is empty). Elements of less than a byte take one, in both; floats of a byte and
less stand in the one string of `float8_val`. Strings in `tensor_content` are all their lengths, as varints, then
their bytes (EncodeStringList in tensorflow/core/platform/tensor_coding.cc), as C++ clients may send them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from google.protobuf.message import DecodeError

from serving.errors import InvalidInputError
from serving.signatures import TENSORFLOW_DTYPES, DType, TensorSpec, format_shape
from serving.wire.atelier_tfs_pb2 import Tensor, TensorInfo, TensorShape, UnpackedTensor

_DTYPE_OF_NUMBER = MappingProxyType({dtype.tensorflow: dtype for dtype in TENSORFLOW_DTYPES.values()})
_INT_VAL = ("uint8", "int8", "uint16", "int16", "int32", "int4", "uint4", "int2", "uint2")
_QUANTIZED = ("qint8", "quint8", "qint16", "quint16", "qint32")
_HALF_VAL = ("float16", "bfloat16")
_FLOAT8_VAL = tuple(name for name in TENSORFLOW_DTYPES if name.startswith(("float8", "float4")))
RAW_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "float32": "float_val",
        "float64": "double_val",
        "complex64": "scomplex_val",
        "complex128": "dcomplex_val",
    }
)
"""The fields whose numbers travel as they lie in memory, by their dtypes; complex numbers are pairs of floats."""
_TYPED_FIELD = MappingProxyType(
    {
        **RAW_FIELDS,
        "string": "string_val",
        "int64": "int64_val",
        "bool": "bool_val",
        **dict.fromkeys(_HALF_VAL, "half_val"),
        "uint32": "uint32_val",
        "uint64": "uint64_val",
        **dict.fromkeys((*_INT_VAL, *_QUANTIZED), "int_val"),
        **dict.fromkeys(_FLOAT8_VAL, "float8_val"),
    }
)
_DTYPE_OF_FIELD: Mapping[str, type[np.generic]] = MappingProxyType({"int_val": np.int32, "half_val": np.int32})
"""What the fields hold that hold several dtypes; the others hold their own."""
_KNOWN_SHAPES = 1024
MIXED_ENCODINGS = "expected packed numbers or single ones, received both"
"""Their order is lost here, so that they are refused; no library writes a list in both ways."""
_MAX_VARINT_BYTES = 5
_MAX_FILLED_VALUES = 65_536
_MAX_FILLED_BYTES = 4 * 1024 * 1024
"""What a message of a few bytes may have the event loop write, which takes some milliseconds."""
_MAX_SHAPE_BYTES = 4096
"""Of a shape as it travels: the 64 sizes that an array may have take 900, and may have names."""
MAX_STRINGS_OF_CONTENT = 16 * 1024
"""So many are made of a `tensor_content` in some milliseconds."""


def decode_tensor(tensor: Tensor, spec: TensorSpec, *, max_bytes: int) -> np.ndarray:
    """The tensor as an array of `spec`'s dtype and shape; read-only where it is a view of the message's bytes.

    `max_bytes` bounds what a short message may blow up to: one value can stand for a tensor of any shape.

    Raises:
        InvalidInputError: dtype, shape or number of values do not fit.
    """
    element = spec.element
    if tensor.dtype != element.tensorflow:
        received = _DTYPE_OF_NUMBER.get(tensor.dtype)
        name = received.name if received else f"dtype number {tensor.dtype}"
        raise InvalidInputError(f'input "{spec.name}": expected dtype {spec.dtype}, received {name}')
    shape, count = _shape_and_count_of(tensor, spec)
    if count < 0 or not spec.accepts(shape):
        raise InvalidInputError(
            f'input "{spec.name}": expected shape {format_shape(spec.shape)}, received {format_shape(shape)}'
        )
    if count * element.numpy.itemsize > max_bytes:
        raise InvalidInputError(
            f'input "{spec.name}": expected at most {max_bytes:,} bytes, '
            f"received shape {format_shape(shape)} of {count * element.numpy.itemsize:,} bytes"
        )
    content = tensor.tensor_content
    if not content:
        return reshape(_typed_values(tensor, spec, count), spec, shape)
    if element.is_string:
        return reshape(_strings_of_content(content, spec, count), spec, shape)
    if len(content) != count * element.numpy.itemsize:
        raise InvalidInputError(
            f'input "{spec.name}": expected {count * element.numpy.itemsize} bytes of tensor_content for shape '
            f"{format_shape(shape)} of {spec.dtype}, received {len(content)}"
        )
    return reshape(np.frombuffer(content, element.numpy), spec, shape)


def reshape(array: np.ndarray, spec: TensorSpec, shape: tuple[int, ...]) -> np.ndarray:
    """The array in a checked shape.

    Raises:
        InvalidInputError: numpy cannot have an array of such a shape, though it holds nothing.
    """
    try:
        return array.reshape(shape)
    except ValueError as error:
        raise InvalidInputError(f'input "{spec.name}": received shape {format_shape(shape)}, which is too large') from (
            error
        )


def has_many_strings(tensor: Tensor, spec: TensorSpec) -> bool:
    """Whether `decode_tensor` would keep others waiting, with strings that parsing leaves together in one piece.

    Raises:
        InvalidInputError: the shape is longer than that of any array.
    """
    if not (spec.element.is_string and tensor.tensor_content):
        return False
    return _shape_and_count_of(tensor, spec)[1] > MAX_STRINGS_OF_CONTENT


def encode_tensor(tensor: Tensor, array: np.ndarray, dtype: DType) -> None:
    """Writes the array into an empty message the way TensorFlow Serving answers: in the dtype's `*_val` field."""
    tensor.dtype = dtype.tensorflow  # type: ignore[assignment]  # a number is what protobuf takes
    tensor.tensor_shape.MergeFromString(_shape_message(array.shape))
    field = _TYPED_FIELD[dtype.name]
    if dtype.name in RAW_FIELDS:
        getattr(tensor, field).append(array.tobytes())
    elif field == "half_val":
        tensor.half_val.extend(array.view(np.uint16).ravel().tolist())
    elif field == "float8_val":
        tensor.float8_val = array.tobytes()
    else:
        getattr(tensor, field).extend(array.ravel().tolist())


def encode_content(tensor: Tensor, array: np.ndarray, dtype: DType) -> None:
    """Writes numbers into an empty message the way clients send arrays: as raw `tensor_content`."""
    tensor.dtype = dtype.tensorflow  # type: ignore[assignment]  # as above
    tensor.tensor_shape.MergeFromString(_shape_message(array.shape))
    tensor.tensor_content = array.tobytes()


def encode_tensor_info(info: TensorInfo, spec: TensorSpec) -> None:
    """Writes a signature's tensor into an empty message; free sizes travel as -1."""
    info.name = spec.name
    info.dtype = spec.element.tensorflow  # type: ignore[assignment]  # as above
    if spec.any_rank:
        info.tensor_shape.unknown_rank = True
    else:
        info.tensor_shape.MergeFromString(_shape_message(spec.shape))


def decode_tensor_info(name: str, info: TensorInfo) -> TensorSpec | None:
    """A signature's tensor; None where it is not dense, or of a dtype that has no array here."""
    dtype = _DTYPE_OF_NUMBER.get(info.dtype)
    if dtype is None or info.WhichOneof("encoding") != "name":
        return None
    if info.tensor_shape.unknown_rank:
        return TensorSpec(name, dtype.name, (), any_rank=True)
    return TensorSpec(name, dtype.name, tuple(dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim))


def _shape_and_count_of(tensor: Tensor, spec: TensorSpec) -> tuple[tuple[int, ...], int]:
    """See `_shape_and_count`, which multiplying thousands of sizes would keep busy for seconds.

    Raises:
        InvalidInputError: the shape is longer than that of any array.
    """
    message = tensor.tensor_shape.SerializeToString()
    if len(message) > _MAX_SHAPE_BYTES:
        raise InvalidInputError(
            f'input "{spec.name}": expected shape {format_shape(spec.shape)}, '
            f"received {len(tensor.tensor_shape.dim):,} dimensions in {len(message):,} bytes"
        )
    return _shape_and_count(message)


@functools.lru_cache(maxsize=_KNOWN_SHAPES)
def _shape_and_count(message: bytes) -> tuple[tuple[int, ...], int]:
    """A serialized shape's sizes and the number of its elements, -1 where a size is negative.

    Remembered, because a client's requests have the same few shapes, and its message has to be walked through else.
    """
    shape = tuple(dim.size for dim in TensorShape.FromString(message).dim)
    return shape, -1 if min(shape, default=0) < 0 else math.prod(shape)


@functools.lru_cache(maxsize=_KNOWN_SHAPES)
def _shape_message(shape: tuple[int | None, ...]) -> bytes:
    """The shape, serialized; free sizes are -1."""
    message = TensorShape()
    for size in shape:
        message.dim.add(size=-1 if size is None else size)
    return message.SerializeToString()


def _typed_values(tensor: Tensor, spec: TensorSpec, count: int) -> np.ndarray:
    """What the dtype's `*_val` field holds, filled up to `count` values."""
    element = spec.element
    field = _TYPED_FIELD[element.name]
    values = getattr(tensor, field)
    if element.name in RAW_FIELDS:
        content = b"".join(values)
        if len(content) == count * element.numpy.itemsize:
            return np.frombuffer(content, element.numpy)
        # Not packed (our message class then kept the numbers as unknown fields), or not one value an element.
        values = _floats(tensor, spec, field, content)
    elif field == "float8_val":
        values = np.frombuffer(values, element.numpy)
    given = len(values)
    if given > count:
        raise InvalidInputError(f'input "{spec.name}": expected at most {count} values, received {given}')
    if not element.is_string:
        numbers = np.array(values, _DTYPE_OF_FIELD.get(field, element.numpy))
        values = _narrow(numbers, spec, field) if field in _DTYPE_OF_FIELD else numbers
    if given <= 1 and count > _MAX_FILLED_VALUES and not element.is_string:
        value = values if given else np.zeros(1, element.numpy)
        return np.broadcast_to(value, count)  # takes no memory until somebody who is let in has it copied
    if given < count and count * element.numpy.itemsize > _MAX_FILLED_BYTES:
        raise InvalidInputError(f'input "{spec.name}": expected {count} values, received {given}')
    array = np.empty(count, element.numpy)
    array[:given] = values
    array[given:] = array[given - 1] if given else (b"" if element.is_string else 0)
    return array


def _floats(tensor: Tensor, spec: TensorSpec, field: str, content: bytes) -> np.ndarray:
    """What a field of `RAW_FIELDS` holds, packed, which is its `content`, or not."""
    element = spec.element
    part = np.zeros(0, element.numpy).real.dtype
    try:
        numbers = getattr(UnpackedTensor.FromString(tensor.SerializeToString()), field)
    except DecodeError as error:
        raise InvalidInputError(f'input "{spec.name}": {field} is not a list of whole {part} values') from error
    if content and len(numbers) * part.itemsize != len(content):
        raise InvalidInputError(f'input "{spec.name}": {MIXED_ENCODINGS} in {field}')
    values = np.frombuffer(content, part) if content else np.array(numbers, part)
    if element.kind == "c" and len(values) % 2:
        raise InvalidInputError(f'input "{spec.name}": expected pairs of numbers in {field}, received {len(values)}')
    return values.view(element.numpy)


def _strings_of_content(content: bytes, spec: TensorSpec, count: int) -> np.ndarray:
    """The strings whose lengths and bytes `tensor_content` holds, without a loop over the lengths' bytes."""
    head = np.frombuffer(content[: count * _MAX_VARINT_BYTES], np.uint8)
    last = np.flatnonzero(head < 0x80)[:count]
    widths = np.diff(last, prepend=-1)
    lengths = np.zeros(len(last), np.int64)
    for place in range(_MAX_VARINT_BYTES):
        longer = np.flatnonzero(widths > place)
        lengths[longer] |= (head[last[longer] - widths[longer] + 1 + place] & 0x7F).astype(np.int64) << 7 * place
    begin = int(last[-1]) + 1 if count and len(last) == count else 0
    if len(last) < count or max(widths, default=0) > _MAX_VARINT_BYTES or begin + lengths.sum() != len(content):
        raise InvalidInputError(
            f'input "{spec.name}": expected tensor_content of {count} lengths and as many bytes as they say, '
            f"received {len(content)} bytes that are none"
        )
    ends = begin + np.cumsum(lengths)
    array = np.empty(count, object)
    array[:] = [content[start:end] for start, end in zip((ends - lengths).tolist(), ends.tolist(), strict=True)]
    return array


def _narrow(values: np.ndarray, spec: TensorSpec, field: str) -> np.ndarray:
    """Small and quantized integers, and float16 and bfloat16 as their bits, travel as int32."""
    narrowed = values.astype(np.uint16 if field == "half_val" else spec.element.numpy)
    if not np.array_equal(narrowed, values):
        raise InvalidInputError(f'input "{spec.name}": {field} holds a value that does not fit into {spec.dtype}')
    return narrowed.view(spec.element.numpy)
