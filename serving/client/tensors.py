"""Arrays to the Open Inference Protocol's binary tensors and back, exact in every dtype.

Source: Triton's binary tensor data extension; elements are little-endian, strings stand behind their length.
"""

from __future__ import annotations

import struct
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from serving.errors import InvalidInputError
from serving.signatures import DTYPES, DType

_LENGTH = struct.Struct("<I")
_DTYPE_OF_OIP = {dtype.oip: dtype for dtype in DTYPES.values()}
_KINDS_OF_NUMBERS = {dtype.numpy.kind for dtype in DTYPES.values()}
_DTYPE_OF_TENSORFLOW = {dtype.tensorflow_name: dtype for dtype in DTYPES.values()}


def encode(name: str, array: np.ndarray) -> tuple[str, bytes]:
    """The protocol's datatype and the bytes of an input.

    Raises:
        InvalidInputError: a dtype that no model takes.
    """
    if array.dtype.kind in "OSU":
        strings = [_string(name, value) for value in array.ravel().tolist()]
        return DTYPES["string"].oip, b"".join(_LENGTH.pack(len(value)) + value for value in strings)
    dtype = DTYPES.get(array.dtype.name)
    if dtype is None:
        raise InvalidInputError(f'input "{name}": expected one of {", ".join(DTYPES)}, received {array.dtype}')
    return dtype.oip, array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def decode(datatype: str, shape: tuple[int, ...], content: bytes) -> np.ndarray:
    """An output as an array of its own; strings are `bytes` in an array of objects.

    Raises:
        ValueError, struct.error: the bytes are none of this datatype and shape.
    """
    dtype = _DTYPE_OF_OIP.get(datatype)
    if dtype is None:
        raise ValueError(f"unknown datatype {datatype}")
    if not dtype.is_string:
        return np.frombuffer(content, dtype.numpy.newbyteorder("<")).astype(dtype.numpy).reshape(shape)
    strings, start = [], 0
    while start < len(content):
        (length,) = _LENGTH.unpack_from(content, start)
        start += _LENGTH.size + length
        strings.append(content[start - length : start])
    if start != len(content):
        raise ValueError("a string is longer than what is left")
    array = np.empty(len(strings), dtype=object)
    array[:] = strings
    return array.reshape(shape)


def convert(name: str, values: Any, tensorflow_dtype: str) -> np.ndarray:
    """Plain Python values as the dtype that the model takes; arrays stay what they are, for the model to refuse.

    Raises:
        InvalidInputError: they are not of one shape, or would change.
    """
    if isinstance(values, np.ndarray):
        return values
    dtype = _dtype_of(tensorflow_dtype)
    if dtype.is_string:
        return np.array(values, dtype=object)
    try:
        array = np.asarray(values)
        if other := _no_number(array):
            raise InvalidInputError(f'input "{name}": expected {dtype.name} values, received {other}')
        with np.errstate(over="ignore", invalid="ignore"):
            converted = array.astype(dtype.numpy)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInputError(f'input "{name}": expected {dtype.name} values of one shape: {error}') from error
    if dtype.kind == "f":
        changed = np.isfinite(converted) != np.isfinite(array.astype(np.float64))
    else:
        changed = converted != array
    if changed.any():
        raise InvalidInputError(f'input "{name}": expected {_range(dtype)}, received {array[changed][0]}')
    return converted


def _no_number(array: np.ndarray) -> str:
    """What is in it that numpy might take for a number, but is none: None, text, a date, a complex number."""
    if array.dtype.hasobject:
        return next((type(value).__name__ for value in array.flat if not isinstance(value, Real | Decimal)), "")
    return "" if array.dtype.kind in _KINDS_OF_NUMBERS else array.dtype.type.__name__


def _range(dtype: DType) -> str:
    if dtype.kind == "b":
        return "bool values"
    return f"{dtype.name} values from {dtype.limits.min} to {dtype.limits.max}"


def _dtype_of(tensorflow_dtype: str) -> DType:
    dtype = _DTYPE_OF_TENSORFLOW.get(tensorflow_dtype)
    if dtype is None:
        raise InvalidInputError(f"the model takes {tensorflow_dtype}, which this client does not know")
    return dtype


def _string(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise InvalidInputError(f'input "{name}": expected strings or bytes, received {type(value).__name__}')
