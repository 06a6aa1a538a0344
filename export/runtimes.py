"""The written files, run: each runtime loads its own from the bundle's folder, as a server would."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from export.errors import ExportError, first_line
from export.loading import load_saved_model
from export.probes import Tensors
from serving.bundle import ONNX_MODEL, SAVED_MODEL
from serving.signatures import DEFAULT_SIGNATURE, Signature


class NoAnswerError(ExportError):
    """A runtime refuses inputs that fit its signature, such as an index outside of a table."""


class Runtime(Protocol):
    """A model loaded from a bundle's folder, where `file` is what it needs there; asked through `signature`."""

    name: ClassVar[str]
    file: ClassVar[str]

    def __init__(self, bundle: Path, signature: Signature) -> None: ...

    def run(self, inputs: Tensors) -> Tensors:
        """Answers one batch: every output by its name.

        Raises:
            NoAnswerError: it refuses.
        """
        ...


class TensorFlowRuntime:
    """TensorFlow on the SavedModel, through the signature that TensorFlow Serving would call."""

    name: ClassVar[str] = "tensorflow"
    file: ClassVar[str] = SAVED_MODEL

    def __init__(self, bundle: Path, signature: Signature) -> None:
        import tensorflow as tf

        # A function does not keep the object alive whose variables it reads.
        self._loaded = load_saved_model(bundle)
        self._function = self._loaded.signatures[DEFAULT_SIGNATURE]
        self._as_tensor = tf.constant
        self._errors = tf.errors.OpError
        self._dtypes = {spec.name: spec.dtype for spec in signature.inputs}

    def run(self, inputs: Tensors) -> Tensors:
        """Answers one batch."""
        given = {name: self._as_tensor(array, self._dtypes[name]) for name, array in inputs.items()}
        try:
            answer = self._function(**given)
        except self._errors as error:
            raise NoAnswerError(f"{self.name} refuses the input: {first_line(error)}") from error
        return {name: np.asarray(tensor.numpy()) for name, tensor in answer.items()}


class OnnxRuntime:
    """ONNX Runtime on `model.onnx`, on the CPU.

    Raises:
        ExportError: ONNX Runtime cannot load the file.
    """

    name: ClassVar[str] = "onnx"
    file: ClassVar[str] = ONNX_MODEL

    def __init__(self, bundle: Path, signature: Signature) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # looked at once, when it is imported
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what fails is raised, too
        try:
            self._session = onnxruntime.InferenceSession(
                str(bundle / self.file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own errors share no narrower base
            raise ExportError(f"ONNX Runtime cannot load {self.file}: {first_line(error)}") from error
        self._outputs = [spec.name for spec in signature.outputs]

    def run(self, inputs: Tensors) -> Tensors:
        """Answers one batch."""
        try:
            answer = self._session.run(self._outputs, {name: _to_text(array) for name, array in inputs.items()})
        except Exception as error:  # as above
            raise NoAnswerError(f"{self.name} refuses the input: {first_line(error)}") from error
        return {name: _to_bytes(np.asarray(array)) for name, array in zip(self._outputs, answer, strict=True)}


RUNTIMES: tuple[type[Runtime], ...] = (TensorFlowRuntime, OnnxRuntime)
"""In the order in which they are the reference for the others."""


def answers(runtime: Runtime, inputs: Iterable[Tensors]) -> list[Tensors]:
    """The runtime's answers to all batches, in order."""
    return [runtime.run(batch) for batch in inputs]


def _to_text(array: np.ndarray) -> np.ndarray:
    """ONNX Runtime takes strings as `str`, TensorFlow and our arrays have `bytes`."""
    return np.vectorize(bytes.decode, [object])(array) if array.dtype == object and array.size else array


def _to_bytes(array: np.ndarray) -> np.ndarray:
    return np.vectorize(str.encode, [object])(array) if array.dtype == object and array.size else array
