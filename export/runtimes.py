"""The written files, run: each runtime loads its own from the bundle's folder, as a server would."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from export.errors import ExportError
from serving.bundle import ONNX_MODEL
from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec

MAX_BATCH_ROWS = 256
MAX_BATCH_BYTES = 16 * 2**20
"""Of the inputs; what a convolution makes of uint8 pixels takes about a hundred times as much."""
PROBE_BATCHES = (1, 2, 7, 32)
PROBE_SEED = 20
PIXEL_LEVELS = (0, 255)
NUMBERS = (0, -1_000_000, 1_000_000)
RANDOM_NUMBERS_DEVIATION = 100.0


class Runtime(Protocol):
    """A loaded model: `run` takes pixels uint8 `[N, …]` or features float32 `[N, 1]`, and answers float32 `[N, …]`."""

    name: str

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Answers one batch."""


class TensorFlowRuntime:
    """TensorFlow on the SavedModel, through the signature that TensorFlow Serving would call."""

    name = "tensorflow"

    def __init__(self, bundle: Path, signature: Signature) -> None:
        import tensorflow as tf

        # A function does not keep the object alive whose variables it reads.
        self._loaded = tf.saved_model.load(str(bundle))
        self._function = self._loaded.signatures[DEFAULT_SIGNATURE]
        self._as_tensor = tf.constant
        (self._input,), (self._output,) = signature.inputs, signature.outputs

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Answers one batch."""
        answer = self._function(**{self._input.name: self._as_tensor(inputs)})
        return np.asarray(answer[self._output.name].numpy())


class OnnxRuntime:
    """ONNX Runtime on `model.onnx`, on the CPU.

    Raises:
        ExportError: ONNX Runtime cannot load the file.
    """

    name = "onnx"

    def __init__(self, bundle: Path, signature: Signature) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # looked at once, when it is imported
        import onnxruntime

        try:
            self._session = onnxruntime.InferenceSession(str(bundle / ONNX_MODEL), providers=["CPUExecutionProvider"])
        except Exception as error:  # its own errors share no narrower base
            raise ExportError(f"ONNX Runtime cannot load {ONNX_MODEL}: {error}") from error
        (self._input,), (self._output,) = signature.inputs, signature.outputs

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Answers one batch."""
        (answer,) = self._session.run([self._output.name], {self._input.name: inputs})
        return np.asarray(answer)


def batches(inputs: np.ndarray) -> list[np.ndarray]:
    """The inputs in order, as views of as many rows as one batch may have; the last one is what is left."""
    rows = _max_rows(inputs[0].nbytes)
    return [inputs[start : start + rows] for start in range(0, len(inputs), rows)]


def probes(spec: TensorSpec) -> Mapping[str, Sequence[np.ndarray]]:
    """Inputs that no data set holds, for the input `spec`; always the same.

    Batches have the sizes `PROBE_BATCHES`, as far as one batch may have them.
    """
    generator = np.random.default_rng(PROBE_SEED)
    dtype, row = spec.element.numpy, [size or 1 for size in spec.shape[1:]]
    max_rows = _max_rows(math.prod(row) * dtype.itemsize)
    shapes = [(rows, *row) for rows in PROBE_BATCHES if rows <= max_rows]
    is_pixels = dtype == np.uint8
    levels = PIXEL_LEVELS if is_pixels else NUMBERS
    found = {f"all {level:,}": [np.full(shape, level, dtype) for shape in shapes] for level in levels}
    found["random"] = [
        generator.integers(0, 256, shape, np.uint8)
        if is_pixels
        else generator.normal(0, RANDOM_NUMBERS_DEVIATION, shape).astype(dtype)
        for shape in shapes
    ]
    return found


def answers(runtime: Runtime, inputs: Iterable[np.ndarray]) -> np.ndarray:
    """The runtime's answers to all batches, in order."""
    return np.concatenate([runtime.run(batch) for batch in inputs])


def _max_rows(row_bytes: int) -> int:
    return max(1, min(MAX_BATCH_ROWS, MAX_BATCH_BYTES // row_bytes))
