"""The written files, run: each runtime loads its own from the bundle's folder, as a server would."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from export.errors import ExportError, first_line
from export.saved_model_loading import load_saved_model
from serving.bundle_files import ONNX_INT8_MODEL, ONNX_MODEL, SAVED_MODEL, TFLITE_MODEL
from serving.signatures import DEFAULT_SIGNATURE, Signature, Tensors
from training.environment import silent_stderr

if TYPE_CHECKING:
    import keras


class NoAnswerError(ExportError):
    """A runtime refuses inputs that fit its signature, such as an index outside of a table."""


class Answering(Protocol):
    """A model that can be asked, in memory or loaded from files."""

    name: ClassVar[str]

    def run(self, inputs: Tensors) -> Tensors:
        """Answers one batch: every output by its name.

        Raises:
            NoAnswerError: it refuses.
        """
        ...


class Runtime(Answering, Protocol):
    """A model loaded from a bundle's folder and asked through `signature`.

    Of `files`, patterns relative to the folder, the first is what it cannot do without. `is_int8` says whether it
    computes with 8 bits where the reference has 32.
    """

    files: ClassVar[tuple[str, ...]]
    is_int8: ClassVar[bool]

    def __init__(self, bundle: Path, signature: Signature) -> None: ...


class KerasInMemory:
    """The model as it was trained, before anything was written: layer by layer, without a traced function."""

    name: ClassVar[str] = "keras"

    def __init__(self, model: keras.Model, signature: Signature) -> None:
        import tensorflow as tf

        self._model = model
        self._takes_list = isinstance(model.input, list)
        self._signature = signature
        self._as_tensor = tf.constant
        self._flatten = tf.nest.flatten
        self._errors = tf.errors.OpError

    def run(self, inputs: Tensors) -> Tensors:
        """Answers one batch."""
        given = [self._as_tensor(inputs[spec.name], spec.dtype) for spec in self._signature.inputs]
        try:
            answer = self._model(given if self._takes_list else given[0], training=False)
        except self._errors as error:
            raise NoAnswerError(f"{self.name} refuses the input: {first_line(error)}") from error
        outputs = zip(self._signature.outputs, self._flatten(answer), strict=True)
        return {spec.name: np.asarray(tensor.numpy()) for spec, tensor in outputs}


class TensorFlowRuntime:
    """TensorFlow on the SavedModel, through the signature that TensorFlow Serving would call."""

    name: ClassVar[str] = "tensorflow"
    files: ClassVar[tuple[str, ...]] = (SAVED_MODEL, "variables/*")
    is_int8: ClassVar[bool] = False

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
    files: ClassVar[tuple[str, ...]] = (ONNX_MODEL,)
    is_int8: ClassVar[bool] = False

    def __init__(self, bundle: Path, signature: Signature) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # looked at once, when it is imported
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what fails is raised, too
        # Threads that spin while they wait make a machine with other work many times slower.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(bundle / self.files[0]), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own errors share no narrower base
            raise ExportError(f"ONNX Runtime cannot load {self.files[0]}: {first_line(error)}") from error
        self._outputs = [spec.name for spec in signature.outputs]

    def run(self, inputs: Tensors) -> Tensors:
        """Answers one batch."""
        try:
            answer = self._session.run(self._outputs, {name: _to_text(array) for name, array in inputs.items()})
        except Exception as error:  # as above
            raise NoAnswerError(f"{self.name} refuses the input: {first_line(error)}") from error
        return {name: _to_bytes(np.asarray(array)) for name, array in zip(self._outputs, answer, strict=True)}


class OnnxInt8Runtime(OnnxRuntime):
    """ONNX Runtime on `model.int8.onnx`."""

    name: ClassVar[str] = "onnx-int8"
    files: ClassVar[tuple[str, ...]] = (ONNX_INT8_MODEL,)
    is_int8: ClassVar[bool] = True


class TFLiteRuntime:
    """TensorFlow Lite's interpreter on `model.tflite`, which makes room for each batch as it comes.

    Raises:
        ExportError: it cannot load the file.
    """

    name: ClassVar[str] = "tflite"
    files: ClassVar[tuple[str, ...]] = (TFLITE_MODEL,)
    is_int8: ClassVar[bool] = False

    def __init__(self, bundle: Path, signature: Signature) -> None:
        import tensorflow as tf

        path = bundle / self.files[0]
        try:
            with silent_stderr(), warnings.catch_warnings():
                # That it is to move out of TensorFlow; as long as our release has it, it is the same interpreter.
                warnings.filterwarnings("ignore", "[^a-zA-Z]*Warning: tf.lite.Interpreter is deprecated")
                self._interpreter = tf.lite.Interpreter(str(path), num_threads=os.cpu_count())
                self._interpreter.allocate_tensors()  # which says on stderr what it will compute with
            self._runner = self._interpreter.get_signature_runner(DEFAULT_SIGNATURE)
        except (ValueError, RuntimeError) as error:
            raise ExportError(f"TensorFlow Lite cannot load {path.name}: {first_line(error)}") from error
        self._outputs = [spec.name for spec in signature.outputs]

    def run(self, inputs: Tensors) -> Tensors:
        """Answers one batch."""
        try:
            answer = self._runner(**inputs)
        except (ValueError, RuntimeError) as error:
            raise NoAnswerError(f"{self.name} refuses the input: {first_line(error)}") from error
        return {name: answer[name] for name in self._outputs}


RUNTIMES: tuple[type[Runtime], ...] = (TensorFlowRuntime, OnnxRuntime, OnnxInt8Runtime, TFLiteRuntime)
"""In the order in which they are the reference for the others."""


def is_present(kind: type[Runtime], bundle: Path) -> bool:
    """Whether the folder has what the runtime needs."""
    return (bundle / kind.files[0]).is_file()


def size_bytes(kind: type[Runtime], bundle: Path) -> int:
    """The size of all files that the runtime reads."""
    return sum(path.stat().st_size for pattern in kind.files for path in bundle.glob(pattern))


def answers(runtime: Answering, inputs: Iterable[Tensors]) -> list[Tensors]:
    """The runtime's answers to all batches, in order."""
    return [runtime.run(batch) for batch in inputs]


def _to_text(array: np.ndarray) -> np.ndarray:
    """ONNX Runtime takes strings as `str`, TensorFlow and our arrays have `bytes`."""
    return np.vectorize(bytes.decode, [object])(array) if array.dtype == object and array.size else array


def _to_bytes(array: np.ndarray) -> np.ndarray:
    return np.vectorize(str.encode, [object])(array) if array.dtype == object and array.size else array
