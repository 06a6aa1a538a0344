"""TensorProto to numpy and back, written for the stand-in alone: it shares nothing with what it is to test."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
from tensorflow.core.framework.tensor_pb2 import TensorProto

_KINDS = {
    1: (np.float32, "float_val"),
    2: (np.float64, "double_val"),
    3: (np.int32, "int_val"),
    4: (np.uint8, "int_val"),
    5: (np.int16, "int_val"),
    6: (np.int8, "int_val"),
    7: (object, "string_val"),
    8: (np.complex64, "scomplex_val"),
    9: (np.int64, "int64_val"),
    10: (np.bool_, "bool_val"),
    11: (np.int8, "int_val"),
    12: (np.uint8, "int_val"),
    13: (np.int32, "int_val"),
    14: (np.uint16, "half_val"),
    15: (np.int16, "int_val"),
    16: (np.uint16, "int_val"),
    17: (np.uint16, "int_val"),
    18: (np.complex128, "dcomplex_val"),
    19: (np.float16, "half_val"),
    22: (np.uint32, "uint32_val"),
    23: (np.uint64, "uint64_val"),
    24: (ml_dtypes.float8_e5m2, "float8_val"),
    25: (ml_dtypes.float8_e4m3fn, "float8_val"),
    26: (ml_dtypes.float8_e4m3fnuz, "float8_val"),
    27: (ml_dtypes.float8_e4m3b11fnuz, "float8_val"),
    28: (ml_dtypes.float8_e5m2fnuz, "float8_val"),
    29: (ml_dtypes.int4, "int_val"),
    30: (ml_dtypes.uint4, "int_val"),
    31: (ml_dtypes.int2, "int_val"),
    32: (ml_dtypes.uint2, "int_val"),
    33: (ml_dtypes.float4_e2m1fn, "float8_val"),
}


def array_of(proto: TensorProto) -> np.ndarray:
    """Any encoding; bfloat16 as its bits."""
    kind, field = _KINDS[proto.dtype]
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, kind).reshape(shape)
    values = list(getattr(proto, field))
    if field.endswith("complex_val"):
        values = [complex(*pair) for pair in zip(values[::2], values[1::2], strict=True)]
    values += values[-1:] * (math.prod(shape) - len(values))
    if field == "float8_val":
        return np.array(values, np.uint8).view(kind).reshape(shape)
    if kind is np.float16:
        return np.array(values, np.uint16).view(np.float16).reshape(shape)
    return np.array(values, kind).reshape(shape)


def proto_of(array: np.ndarray, dtype: int) -> TensorProto:
    """In the typed field, as TensorFlow Serving answers."""
    proto = TensorProto(dtype=dtype)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if _KINDS[dtype][1] == "half_val":
        array = array.view(np.uint16)
    if _KINDS[dtype][1] == "float8_val":
        proto.float8_val = array.tobytes()
        return proto
    if array.dtype.kind == "c":
        array = array.ravel().view(array.real.dtype)
    getattr(proto, _KINDS[dtype][1]).extend(array.ravel().tolist())
    return proto
