"""The Open Inference Protocol's datatypes, with arrays of each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from serving.signatures import DTYPES

ONNX_TYPES: Mapping[str, int] = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}

RAW_ONLY = ("FP16", "BF16")
"""Neither typed contents nor the official clients' JSON hold them."""


def as_triton_has(array: np.ndarray) -> np.ndarray:
    """The array in numpy's own dtypes, of which none is bfloat16: Triton's clients take and give float32 for it."""
    if array.dtype != DTYPES["bfloat16"].numpy:
        return array
    return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def extremes(datatype: str) -> np.ndarray:
    """A [2, 3] array with the smallest and the largest value of its datatype in it."""
    if datatype == "BYTES":
        return np.array([[b"", b"a", "ü".encode()], [b"\x00", b"x" * 300, b"\n"]], object)
    dtype = next(dtype for dtype in DTYPES.values() if dtype.oip == datatype)
    if datatype == "BOOL":
        return np.array([[True, False, True], [False, False, True]])
    return np.array([[dtype.limits.min, dtype.limits.max, 0], [1, 2, 3]], dtype.numpy)
