"""The signatures beside `serving_default`: the same model for those who send image files or `tf.Example`s.

Each ends in `serving_default`, so that all answer alike. The names and shapes of `classify` and `regress` are those
that TensorFlow Serving's Classify and Regress take (its classifier.cc and regressor.cc).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from export.description import Description
from export.image_graph import decode_images
from serving.signatures import (
    CLASSIFY_METHOD,
    REGRESS_METHOD,
    Signature,
    TensorSpec,
)

if TYPE_CHECKING:
    import tensorflow as tf

IMAGE_SIGNATURE = "image_bytes"
CLASSIFY_SIGNATURE = "classify"
REGRESS_SIGNATURE = "regress"
IMAGE_BYTES = "image_bytes"
EXAMPLES = "inputs"
CLASSES = "classes"
CLASS_SCORES = "scores"
REGRESSION_OUTPUTS = "outputs"
_BRIGHTEST = 255


class SignatureFunction(NamedTuple):
    """A `tf.function` that takes one tensor and gives named ones, as its signature says."""

    function: Any
    signature: Signature


def functions_beside(default: SignatureFunction, description: Description) -> dict[str, SignatureFunction]:
    """What a model with this `serving_default` offers besides, by signature name.

    image_bytes: from encoded PNG and JPEG files, string `[N]`; where the model takes pixels.
    classify: from serialized `tf.Example`s, string `[N]`, to `classes` string and `scores` float32 `[N, n_labels]`.
    regress: from serialized `tf.Example`s to `outputs` float32 `[N, 1]`.

    An Example holds one row of `serving_default`'s input as the feature of its name: an int64_list of pixels 0-255, or
    a float_list. Models with several inputs or outputs, or with other ones, offer none of these.
    """
    if len(default.signature.inputs) != 1 or len(default.signature.outputs) != 1:
        return {}
    (taken,), (given,) = default.signature.inputs, default.signature.outputs
    image, labels = description.image, description.labels
    from_examples = taken.dtype in {"uint8", "float32"} and taken.shape[:1] == (None,) and None not in taken.shape[1:]

    def answer(rows: tf.Tensor) -> tf.Tensor:
        return default.function(rows)[given.name]

    def classify(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        import tensorflow as tf

        scores = answer(_parse_examples(examples, taken))
        return {CLASSES: tf.tile([list(labels)], [tf.shape(scores)[0], 1]), CLASS_SCORES: scores}

    def regress(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {REGRESSION_OUTPUTS: answer(_parse_examples(examples, taken))}

    offered = {}
    if image is not None and (taken.dtype, taken.shape) == ("uint8", (None, *image.shape)):

        def image_bytes(files: tf.Tensor) -> dict[str, tf.Tensor]:
            return {given.name: answer(decode_images(files, image))}

        offered[IMAGE_SIGNATURE] = _of_strings(image_bytes, IMAGE_BYTES, given)
    if from_examples and labels and (given.dtype, given.shape) == ("float32", (None, len(labels))):
        classes = TensorSpec(CLASSES, "string", given.shape)
        scores = TensorSpec(CLASS_SCORES, "float32", given.shape)
        offered[CLASSIFY_SIGNATURE] = _of_strings(classify, EXAMPLES, classes, scores, method=CLASSIFY_METHOD)
    if from_examples and description.task == "regression" and (given.dtype, given.shape) == ("float32", (None, 1)):
        outputs = TensorSpec(REGRESSION_OUTPUTS, "float32", given.shape)
        offered[REGRESS_SIGNATURE] = _of_strings(regress, EXAMPLES, outputs, method=REGRESS_METHOD)
    return offered


def _of_strings(
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]], name: str, *given: TensorSpec, method: str | None = None
) -> SignatureFunction:
    import tensorflow as tf

    taken = TensorSpec(name, "string", (None,))
    traced = tf.function(function, input_signature=[tf.TensorSpec(taken.shape, tf.string, name=name)])
    signature = Signature((taken,), given) if method is None else Signature((taken,), given, method)
    return SignatureFunction(traced, signature)


def _parse_examples(examples: tf.Tensor, spec: TensorSpec) -> tf.Tensor:
    """One row of `spec`, uint8 or float32, of each Example.

    When it runs, `tf.errors.InvalidArgumentError`: no Example, no such feature, another number of values, or pixels
    that are not from 0 to 255.
    """
    import tensorflow as tf

    is_pixels = spec.dtype == "uint8"
    feature = tf.io.FixedLenFeature(spec.shape[1:], tf.int64 if is_pixels else tf.float32)
    values = tf.io.parse_example(examples, {spec.name: feature})[spec.name]
    if not is_pixels:
        return values
    expected = tf.debugging.Assert(
        tf.reduce_all((values >= 0) & (values <= _BRIGHTEST)),
        [
            f"feature {spec.name}: expected values from 0 to {_BRIGHTEST}, received some from",
            tf.reduce_min(values),
            "to",
            tf.reduce_max(values),
        ],
    )
    with tf.control_dependencies([expected]):
        return tf.cast(values, tf.uint8)
