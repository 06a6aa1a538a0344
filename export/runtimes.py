"""The written files, run: each runtime loads its own from the bundle's folder, as a server would."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from export.errors import ExportError
from serving.bundle import ONNX_MODEL
from serving.signatures import DEFAULT_SIGNATURE, TensorSpec

TEST_BATCH = 256
PROBE_BATCHES = (1, 2, 7, 32)
PROBE_SEED = 20


class Runtime(Protocol):
    """A loaded model: `run` takes pixels uint8 `[N, …]` and answers scores float32 `[N, classes]`."""

    name: str

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Answers one batch."""


class TensorFlowRuntime:
    """TensorFlow on the SavedModel, through the signature that TensorFlow Serving would call."""

    name = "tensorflow"

    def __init__(self, bundle: Path, pixels: TensorSpec, scores: TensorSpec) -> None:
        import tensorflow as tf

        # A function does not keep the object alive whose variables it reads.
        self._loaded = tf.saved_model.load(str(bundle))
        self._function = self._loaded.signatures[DEFAULT_SIGNATURE]
        self._as_tensor = tf.constant
        self._pixels, self._scores = pixels.name, scores.name

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Answers one batch."""
        answer = self._function(**{self._pixels: self._as_tensor(pixels)})
        return np.asarray(answer[self._scores].numpy())


class OnnxRuntime:
    """ONNX Runtime on `model.onnx`, on the CPU.

    Raises:
        ExportError: ONNX Runtime cannot load the file.
    """

    name = "onnx"

    def __init__(self, bundle: Path, pixels: TensorSpec, scores: TensorSpec) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # looked at once, when it is imported
        import onnxruntime

        try:
            self._session = onnxruntime.InferenceSession(str(bundle / ONNX_MODEL), providers=["CPUExecutionProvider"])
        except Exception as error:  # its own errors share no narrower base
            raise ExportError(f"ONNX Runtime cannot load {ONNX_MODEL}: {error}") from error
        self._pixels, self._scores = pixels.name, scores.name

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Answers one batch."""
        (scores,) = self._session.run([self._scores], {self._pixels: pixels})
        return np.asarray(scores)


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """The images in order, `TEST_BATCH` at a time; the last batch is what is left."""
    return (images[start : start + TEST_BATCH] for start in range(0, len(images), TEST_BATCH))


def probes(shape: tuple[int, ...]) -> Mapping[str, list[np.ndarray]]:
    """Inputs that no data set holds, uint8 `[N, *shape]` for N in `PROBE_BATCHES`; always the same."""
    generator = np.random.default_rng(PROBE_SEED)
    sizes = [(rows, *shape) for rows in PROBE_BATCHES]
    return {
        "all 0": [np.zeros(size, np.uint8) for size in sizes],
        "all 255": [np.full(size, 255, np.uint8) for size in sizes],
        "random": [generator.integers(0, 256, size, np.uint8) for size in sizes],
    }


def answers(runtime: Runtime, inputs: Iterable[np.ndarray]) -> np.ndarray:
    """The runtime's scores for all batches, in order."""
    return np.concatenate([runtime.run(batch) for batch in inputs])
