"""The Keras model as TensorFlow functions, one per signature, and as the SavedModel that TF Serving loads."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.description import Description
from export.errors import ExportError
from export.signature_functions import SignatureFunction, functions_beside
from serving.bundle_files import LABELS
from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec, format_shape

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

PIXELS = "pixels"
SCORES = "scores"
FEATURES = "features"
PREDICTIONS = "predictions"
FINGERPRINT = "fingerprint.pb"


@dataclass(frozen=True)
class Servable:
    """A model ready to be written: `functions` holds a `tf.function` for every entry of `signatures`."""

    module: tf.Module
    functions: Mapping[str, Any]
    signatures: Mapping[str, Signature]


def signature_of(description: Description) -> Signature:
    """`serving_default` of the model.

    A classifier's goes from uint8 pixels 0-255 `[N, *image.shape]` to float32 scores `[N, n_labels]`, a regression's
    from float32 features `[N, 1]` to float32 predictions `[N, 1]`.
    """
    if description.image is None:
        taken, given = TensorSpec(FEATURES, "float32", (None, 1)), TensorSpec(PREDICTIONS, "float32", (None, 1))
    else:
        taken = TensorSpec(PIXELS, "uint8", (None, *description.image.shape))
        given = TensorSpec(SCORES, "float32", (None, len(description.labels)))
    return Signature(inputs=(taken,), outputs=(given,))


def make_servable(model: keras.Model, description: Description) -> Servable:
    """Wraps the trained model, without its optimizer and in inference mode, into its signatures.

    `serving_default` has no other output than the scores: with a second one, TensorFlow Serving's REST answers would
    be objects instead of rows of numbers, and the ONNX model would have to hold the labels' texts to be equal.

    Raises:
        ExportError: the model takes or gives something else than `signature_of` says.
    """
    import tensorflow as tf

    signature = signature_of(description)
    _check_model(model, signature)
    (taken,), (given,) = signature.inputs, signature.outputs

    @tf.function(input_signature=[tf.TensorSpec(taken.shape, taken.dtype, name=taken.name)])  # type: ignore[untyped-decorator]
    def serving_default(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {given.name: model(inputs, training=False)}

    module = tf.Module()
    # The variables, not the model: a tracked Keras object would be written with its whole unused structure.
    module.model_variables = [variable.value for variable in model.variables]
    module.serving_default = serving_default
    return with_functions_beside(module, SignatureFunction(serving_default, signature), description)


def with_functions_beside(module: tf.Module, default: SignatureFunction, description: Description) -> Servable:
    """The servable of a module that has this `serving_default`, with all signatures that go with it."""
    every = {DEFAULT_SIGNATURE: default, **functions_beside(default, description)}
    return Servable(
        module,
        functions={name: entry.function for name, entry in every.items()},
        signatures={name: entry.signature for name, entry in every.items()},
    )


def write_saved_model(servable: Servable, labels: Sequence[str], directory: Path) -> None:
    """Writes the SavedModel into the folder, `labels`, if any, among its assets as `assets/labels.txt`, one a line.

    Raises:
        ExportError: a label spans lines, or TensorFlow cannot write.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory(prefix="atelier-labels-") as scratch:
        if labels:
            labels_path = Path(scratch) / Path(LABELS).name
            labels_path.write_text(labels_text(labels), encoding="utf-8")
            servable.module.labels = tf.saved_model.Asset(str(labels_path))
        signatures = {name: function.get_concrete_function() for name, function in servable.functions.items()}
        try:
            tf.saved_model.save(servable.module, str(directory), signatures=signatures)
            _name_methods(directory, servable.signatures)
        except tf.errors.OpError as error:
            raise ExportError(f"the SavedModel cannot be written: {error.message}") from error


def _name_methods(directory: Path, signatures: Mapping[str, Signature]) -> None:
    """Gives the signatures their methods: TensorFlow writes each as Predict's, and Classify would refuse it.

    `fingerprint.pb` goes: it is of the file as it was, and random in part, where the manifest's checksums are of
    what is there.
    """
    import tensorflow as tf

    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(directory))
    for name, signature in signatures.items():
        updater.replace_method_name(signature_key=name, method_name=signature.method)
    updater.save()
    (directory / FINGERPRINT).unlink(missing_ok=True)


def labels_text(labels: Sequence[str]) -> str:
    """The content of `labels.txt`: line i names class i.

    Raises:
        ExportError: a label is empty or spans lines, so that line numbers would no longer be classes.
    """
    for index, label in enumerate(labels):
        if label.splitlines() != [label]:
            raise ExportError(f"label {index} is {label!r}, expected one line of text")
    return "".join(f"{label}\n" for label in labels)


def _check_model(model: keras.Model, signature: Signature) -> None:
    for role, tensors, expected in (
        ("takes", model.inputs, signature.inputs),
        ("gives", model.outputs, signature.outputs),
    ):
        received = [(str(tensor.dtype), tuple(tensor.shape)) for tensor in tensors]
        if received != [(spec.dtype, spec.shape) for spec in expected]:
            raise ExportError(
                f"the model {role} {_words(received)}, expected "
                f"{_words([(spec.dtype, spec.shape) for spec in expected])}"
            )


def _words(tensors: Sequence[tuple[str, tuple[int | None, ...]]]) -> str:
    return " and ".join(f"{dtype} {format_shape(shape)}" for dtype, shape in tensors) or "nothing"
