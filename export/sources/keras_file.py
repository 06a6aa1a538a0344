"""Any `.keras` file as a source: with the signature that the model has, or as one of ours that takes pixels."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from export.description import Description
from export.errors import ExportError
from export.keras_model import KerasModel
from export.onnx_beside import OnnxPolicy
from export.pixels import PixelRange, taking_pixels
from export.runtimes import KerasInMemory
from export.saved_model import Servable, make_servable, with_functions_beside
from export.signature_functions import SignatureFunction
from export.sources.base import Original, Progress
from export.sources.files import check_fit, name_of, provenance_of
from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec
from training.environment import quiet_tensorflow

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class KerasFileSource:
    """A file, and what its user says of it.

    With `pixels`, the range that the model's float images have, it is published as our own classifiers are: from
    uint8 pixels to scores, with every signature that they have. Without, its inputs and outputs stay as they are.
    """

    def __init__(
        self, path: Path, given: Description, *, pixels: PixelRange | None = None, onnx: OnnxPolicy = "wanted"
    ) -> None:
        self._path = path
        self._given = given
        self._pixels = pixels
        self._onnx = onnx

    @property
    def name(self) -> str:
        """The file's."""
        return name_of(self._path)

    def load(self, progress: Progress) -> Original:
        """Loads the model without its optimizer."""
        progress("loading the model")
        quiet_tensorflow()
        import keras

        model, description = load_keras_file(self._path), self._given.or_else(Description())
        if self._pixels is None:
            model = keras.Model(model.inputs, model.outputs)  # lists, whatever nest of dictionaries it has
            servable = _as_it_is(model, description)
            check_fit(description, servable.signatures[DEFAULT_SIGNATURE])
        else:
            model = taking_pixels(model, description, self._pixels)
            servable = make_servable(model, description)
        return Original(
            title=self._path.stem,
            description=description,
            model=KerasModel(servable, self._onnx),
            in_memory=KerasInMemory(model, servable.signatures[DEFAULT_SIGNATURE]),
            provenance=provenance_of(self._path, "keras"),
        )


def load_keras_file(path: Path) -> keras.Model:
    """Loads a functional or sequential model, in inference mode.

    Raises:
        ExportError: the file is damaged, needs code that is not here, or its inputs are not known.
    """
    import keras

    if not zipfile.is_zipfile(path):
        raise ExportError(f"{path} is damaged: it is no .keras archive, which is a zip file")
    try:
        model = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, EOFError) as error:
        raise ExportError(f"{path} cannot be loaded: {_reason(error)}") from error
    if not isinstance(model, keras.Model) or not model.built or not getattr(model, "inputs", None):
        raise ExportError(f"{path} does not say what it takes: expected a functional or sequential Keras model")
    return model


def _as_it_is(model: keras.Model, description: Description) -> Servable:
    """A model of lists: `serving_default` has the model's own inputs and outputs by its own names."""
    import tensorflow as tf

    inputs = tuple(_spec(name, tensor) for name, tensor in zip(_input_names(model), model.inputs, strict=True))
    outputs = tuple(_spec(name, tensor) for name, tensor in zip(_output_names(model), model.outputs, strict=True))

    @tf.function(input_signature=[tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in inputs])  # type: ignore[untyped-decorator]
    def serving_default(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        answer = model(list(tensors), training=False)
        return dict(zip((spec.name for spec in outputs), tf.nest.flatten(answer), strict=True))

    module = tf.Module()
    module.model = model  # not its variables alone: tables of words are no variables
    module.serving_default = serving_default
    return with_functions_beside(module, SignatureFunction(serving_default, Signature(inputs, outputs)), description)


def _input_names(model: keras.Model) -> list[str]:
    return _different([tensor.name for tensor in model.inputs])


def _output_names(model: keras.Model) -> list[str]:
    """Those of the layers that give them; a sequential model has none of its own and is called by its last layer."""
    return _different(getattr(model, "output_names", None) or [model.layers[-1].name])


def _different(names: Sequence[str]) -> list[str]:
    names = [re.sub(r"[^A-Za-z0-9_]", "_", name) for name in names]  # as TensorFlow does with a function's arguments
    return [name if names.count(name) == 1 else f"{name}_{index}" for index, name in enumerate(names)]


def _spec(name: str, tensor: keras.KerasTensor) -> TensorSpec:
    try:
        return TensorSpec(name, str(tensor.dtype), tuple(tensor.shape))
    except ValueError as error:
        raise ExportError(f'the model\'s "{name}" cannot be served: {error}') from error


def _reason(error: Exception) -> str:
    """The first sentence of the innermost cause, which Keras wraps in whole configurations."""
    innermost = str(error).rpartition("Exception encountered: ")[2]
    return innermost.partition("\n")[0].partition(". ")[0].rstrip(".") or type(error).__name__
