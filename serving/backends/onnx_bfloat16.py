"""ONNX Runtime with bfloat16 tensors, which its Python interface passes on but does not turn into numpy's arrays.

In ONNX Runtime 1.31 `InferenceSession.run` refuses arrays of ml_dtypes' bfloat16. An `OrtValue` takes their bits, and
gives the address and the number of the bits of an answer. Which operators work on them is the runtime's choice: on
CPUs few do, so such models begin and end with a Cast; a model with another is refused when it is loaded.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import onnxruntime

from serving.signatures import DTYPES, Tensors

_BFLOAT16 = DTYPES["bfloat16"]
_ONNX_BFLOAT16 = 16
"""`TensorProto.BFLOAT16` of onnx.proto."""


def run_with_bfloat16(
    session: onnxruntime.InferenceSession, output_names: Sequence[str], inputs: Tensors
) -> list[np.ndarray]:
    """`session.run` of a model in which some tensor is bfloat16."""
    values = session.run_with_ort_values(output_names, {name: _value_of(array) for name, array in inputs.items()})
    return [_array_of(value) for value in values]


def _value_of(array: np.ndarray) -> onnxruntime.OrtValue:
    if array.dtype != _BFLOAT16.numpy:
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)
    bits = np.ascontiguousarray(array).view(np.uint16)
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, _ONNX_BFLOAT16)


def _array_of(value: onnxruntime.OrtValue) -> np.ndarray:
    if value.data_type() != _BFLOAT16.onnx:
        array: np.ndarray = value.numpy()
        return array
    shape, size = value.shape(), value.tensor_size_in_bytes()
    bits = ctypes.string_at(value.data_ptr(), size) if size else b""
    return np.frombuffer(bits, _BFLOAT16.numpy).reshape(shape)
