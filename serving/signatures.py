"""What a model takes and gives: element types, tensor specifications, signatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np

Tensors = Mapping[str, np.ndarray]
"""Arrays by the names of a signature's inputs or outputs; those of strings hold objects that are `bytes`."""

_MAX_RANK = 64
"""numpy's bound."""
DEFAULT_SIGNATURE = "serving_default"
PREDICT_METHOD = "tensorflow/serving/predict"
CLASSIFY_METHOD = "tensorflow/serving/classify"
"""One string input `inputs` [N] of serialized tf.Examples; outputs `classes` (string) and/or `scores`, both [N, n]."""
REGRESS_METHOD = "tensorflow/serving/regress"
"""One string input `inputs` [N] of serialized tf.Examples; one float32 output `outputs`, [N] or [N, 1]."""

_TENSORFLOW_NAMES = MappingProxyType({"float32": "DT_FLOAT", "float64": "DT_DOUBLE", "float16": "DT_HALF"})
"""Those that are not the dtype's own name in capitals."""


@dataclass(frozen=True, slots=True)
class DType:
    """One element type under the names that each protocol gives it.

    `tensorflow` is the number in TensorFlow's `types.proto`, `onnx` ONNX Runtime's name, `oip` the Open Inference
    Protocol's; those that have none are empty. `numpy` is `object` for strings (elements are `bytes`); quantized
    integers are plain ones there, as their scale is not among what a tensor holds.
    """

    name: str
    numpy: np.dtype[np.generic]
    tensorflow: int
    onnx: str = ""
    oip: str = ""

    @property
    def tensorflow_name(self) -> str:
        """TensorFlow's name, such as `DT_FLOAT`."""
        return _TENSORFLOW_NAMES.get(self.name, f"DT_{self.name.upper()}")

    @property
    def is_string(self) -> bool:
        """Whether elements are byte strings instead of numbers."""
        return self.name == "string"

    @property
    def predict_only(self) -> bool:
        """Whether only TensorFlow Serving's Predict over gRPC has it: JSON and the Open Inference Protocol do not."""
        return not self.oip

    @property
    def kind(self) -> str:
        """The kind of number, as numpy's `dtype.kind`, which counts most of ml_dtypes' among the others."""
        if self.numpy.kind != "V":
            return self.numpy.kind
        return "f" if "float" in self.name else self.name[0]

    @property
    def limits(self) -> Any:
        """The smallest and the largest finite number of one of `DTYPES`, as `min` and `max`; not of bool and string."""
        if self.name == "bfloat16":
            return ml_dtypes.finfo(self.numpy)  # type: ignore[no-untyped-call]
        return np.finfo(self.numpy) if self.kind == "f" else np.iinfo(self.numpy)


DTYPES: Mapping[str, DType] = MappingProxyType(
    {
        dtype.name: dtype
        for dtype in (
            DType("float32", np.dtype(np.float32), 1, "tensor(float)", "FP32"),
            DType("float64", np.dtype(np.float64), 2, "tensor(double)", "FP64"),
            DType("int32", np.dtype(np.int32), 3, "tensor(int32)", "INT32"),
            DType("uint8", np.dtype(np.uint8), 4, "tensor(uint8)", "UINT8"),
            DType("int16", np.dtype(np.int16), 5, "tensor(int16)", "INT16"),
            DType("int8", np.dtype(np.int8), 6, "tensor(int8)", "INT8"),
            DType("string", np.dtype(object), 7, "tensor(string)", "BYTES"),
            DType("int64", np.dtype(np.int64), 9, "tensor(int64)", "INT64"),
            DType("bool", np.dtype(np.bool_), 10, "tensor(bool)", "BOOL"),
            DType("bfloat16", np.dtype(ml_dtypes.bfloat16), 14, "tensor(bfloat16)", "BF16"),
            DType("uint16", np.dtype(np.uint16), 17, "tensor(uint16)", "UINT16"),
            DType("float16", np.dtype(np.float16), 19, "tensor(float16)", "FP16"),
            DType("uint32", np.dtype(np.uint32), 22, "tensor(uint32)", "UINT32"),
            DType("uint64", np.dtype(np.uint64), 23, "tensor(uint64)", "UINT64"),
        )
    }
)
"""Those that every protocol and back end has."""
TENSORFLOW_DTYPES: Mapping[str, DType] = MappingProxyType(
    {
        **DTYPES,
        **{
            dtype.name: dtype
            for dtype in (
                DType("complex64", np.dtype(np.complex64), 8),
                DType("complex128", np.dtype(np.complex128), 18),
                DType("qint8", np.dtype(np.int8), 11),
                DType("quint8", np.dtype(np.uint8), 12),
                DType("qint32", np.dtype(np.int32), 13),
                DType("qint16", np.dtype(np.int16), 15),
                DType("quint16", np.dtype(np.uint16), 16),
                DType("float8_e5m2", np.dtype(ml_dtypes.float8_e5m2), 24),
                DType("float8_e4m3fn", np.dtype(ml_dtypes.float8_e4m3fn), 25),
                DType("float8_e4m3fnuz", np.dtype(ml_dtypes.float8_e4m3fnuz), 26),
                DType("float8_e4m3b11fnuz", np.dtype(ml_dtypes.float8_e4m3b11fnuz), 27),
                DType("float8_e5m2fnuz", np.dtype(ml_dtypes.float8_e5m2fnuz), 28),
                DType("int4", np.dtype(ml_dtypes.int4), 29),
                DType("uint4", np.dtype(ml_dtypes.uint4), 30),
                DType("int2", np.dtype(ml_dtypes.int2), 31),
                DType("uint2", np.dtype(ml_dtypes.uint2), 32),
                DType("float4_e2m1fn", np.dtype(ml_dtypes.float4_e2m1fn), 33),
            )
        },
    }
)
"""Those that a SavedModel's tensors may have, and TensorFlow Serving's Predict over gRPC."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A named tensor. `shape` has `None` where the size is free; `None` first is the batch dimension.

    `any_rank` says that even the number of dimensions is free; `shape` is empty then.

    Raises:
        ValueError: the dtype is not one of `TENSORFLOW_DTYPES`.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    any_rank: bool = False
    element: DType = field(init=False, repr=False, compare=False)
    _row_shape: tuple[int | None, ...] | None = field(init=False, repr=False, compare=False)
    """The shape of one row, where only the batch dimension is free."""

    def __post_init__(self) -> None:
        if self.dtype not in TENSORFLOW_DTYPES:
            raise ValueError(f"unknown dtype {self.dtype!r}; known: {', '.join(TENSORFLOW_DTYPES)}")
        batched = self.shape[:1] == (None,) and None not in self.shape[1:]
        object.__setattr__(self, "element", TENSORFLOW_DTYPES[self.dtype])
        object.__setattr__(self, "_row_shape", self.shape[1:] if batched else None)

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits, rank and every fixed size."""
        if self.any_rank:
            return len(shape) <= _MAX_RANK
        if self._row_shape is not None:
            return len(shape) == len(self.shape) and shape[1:] == self._row_shape
        return len(shape) == len(self.shape) and all(
            expected is None or expected == received for expected, received in zip(self.shape, shape, strict=True)
        )


_NO_DEFAULTS: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True)
class Signature:
    """A function of the model: named inputs, named outputs, and the method that TensorFlow Serving calls it by."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    method: str = PREDICT_METHOD

    @property
    def defaults(self) -> Mapping[str, bytes]:
        """What is taken for inputs that a Predict request leaves out: serialized TensorProtos by the inputs' names."""
        return _NO_DEFAULTS

    def with_defaults(self, defaults: Mapping[str, bytes]) -> Signature:
        """The same signature with `defaults`, as a SavedModel may give them; its manifest knows none."""
        return _SignatureWithDefaults(self.inputs, self.outputs, self.method, dict(defaults)) if defaults else self

    @cached_property
    def input_names(self) -> frozenset[str]:
        """The names of all inputs."""
        return frozenset(spec.name for spec in self.inputs)

    @cached_property
    def takes_strings(self) -> bool:
        """Whether an input is of strings, each of which is a Python object."""
        return any(spec.element.is_string for spec in self.inputs)

    @cached_property
    def predict_only_tensor(self) -> TensorSpec | None:
        """The first tensor, if any, of a dtype that only TensorFlow Serving's Predict over gRPC has."""
        return next((spec for spec in (*self.inputs, *self.outputs) if spec.element.predict_only), None)

    @cached_property
    def is_batched(self) -> bool:
        """Whether rows of several requests can share a run: the first dimension is the same one in all tensors.

        It is free, or of one fixed size, in every input, and nowhere else in an output. What has a scalar, an unknown
        rank, or a size of its own there is asked by one request at a time, with its tensors as they are.
        """
        if not all(spec.shape for spec in (*self.inputs, *self.outputs)):
            return False
        sizes = {spec.shape[0] for spec in self.inputs}
        return len(sizes) == 1 and {spec.shape[0] for spec in self.outputs} <= {None, *sizes}


@dataclass(frozen=True)
class _SignatureWithDefaults(Signature):
    values: Mapping[str, bytes] = field(default_factory=dict, hash=False)

    @property
    def defaults(self) -> Mapping[str, bytes]:
        return self.values


def format_shape(shape: tuple[int | None, ...]) -> str:
    """`(None, 28, 28)` as people read it in an error: `[?, 28, 28]`."""
    shown = ["?" if size is None else str(size) for size in shape[:_MAX_RANK]]
    more = [f"… {len(shape):,} in all"] if len(shape) > _MAX_RANK else []
    return f"[{', '.join(shown + more)}]"
