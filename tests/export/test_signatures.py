"""The SavedModel's further signatures: for image files, and for TensorFlow Serving's Classify and Regress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image

from export.exporter import Exported
from serving.images import ImageSpec, decode_image
from serving.signatures import Signature
from tests.support.examples import example
from tests.support.image_files import file_of


def ask(exported: Exported, signature: str, values: Any) -> Mapping[str, np.ndarray]:
    """The answer of the SavedModel as TensorFlow loads it."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(exported.path))
    (taken,) = exported.manifest.signatures[signature].inputs
    answer = loaded.signatures[signature](**{taken.name: tf.constant(values)})
    return {name: tensor.numpy() for name, tensor in answer.items()}


def words(signature: Signature) -> list[tuple[str, str, tuple[int | None, ...]]]:
    return [(spec.name, spec.dtype, spec.shape) for spec in (*signature.inputs, *signature.outputs)]


def test_a_classifier_takes_pixels_image_files_and_examples(exported: Exported) -> None:
    signatures = exported.manifest.signatures

    assert {name: words(signature) for name, signature in signatures.items()} == {
        "serving_default": [("pixels", "uint8", (None, 8, 8)), ("scores", "float32", (None, 10))],
        "image_bytes": [("image_bytes", "string", (None,)), ("scores", "float32", (None, 10))],
        "classify": [
            ("inputs", "string", (None,)),
            ("classes", "string", (None, 10)),
            ("scores", "float32", (None, 10)),
        ],
    }


def test_a_regression_takes_numbers_and_examples(exported_regression: Exported) -> None:
    assert {name: words(signature) for name, signature in exported_regression.manifest.signatures.items()} == {
        "serving_default": [("features", "float32", (None, 1)), ("predictions", "float32", (None, 1))],
        "regress": [("inputs", "string", (None,)), ("outputs", "float32", (None, 1))],
    }


@pytest.mark.parametrize(
    ("bundle", "methods"),
    [
        ("exported", {"serving_default": "predict", "image_bytes": "predict", "classify": "classify"}),
        ("exported_regression", {"serving_default": "predict", "regress": "regress"}),
    ],
)
def test_the_saved_model_has_the_tensors_and_methods_of_the_manifest(
    request: pytest.FixtureRequest, bundle: str, methods: dict[str, str]
) -> None:
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    exported: Exported = request.getfixturevalue(bundle)
    saved = saved_model_pb2.SavedModel.FromString((exported.path / "saved_model.pb").read_bytes())
    written = {name: entry for name, entry in saved.meta_graphs[0].signature_def.items() if not name.startswith("__")}

    assert {name: entry.method_name for name, entry in written.items()} == {
        name: f"tensorflow/serving/{method}" for name, method in methods.items()
    }
    for name, signature in exported.manifest.signatures.items():
        assert signature.method == written[name].method_name
        for specs, infos in ((signature.inputs, written[name].inputs), (signature.outputs, written[name].outputs)):
            assert {spec.name: (spec.dtype, spec.shape) for spec in specs} == {
                key: (tf.as_dtype(info.dtype).name, tuple(tf.TensorShape(info.tensor_shape).as_list()))
                for key, info in infos.items()
            }


def test_image_files_of_the_test_images_score_exactly_as_their_pixels(
    exported: Exported, digits_images: np.ndarray
) -> None:
    from_files = ask(exported, "image_bytes", [file_of(Image.fromarray(pixels), "PNG") for pixels in digits_images])

    np.testing.assert_array_equal(from_files["scores"], ask(exported, "serving_default", digits_images)["scores"])


def test_a_jpeg_of_another_size_scores_exactly_as_the_pixels_that_the_gateway_decodes(
    exported_shapes: Exported,
) -> None:
    pixels = np.random.default_rng(7).integers(0, 256, (61, 40, 3), np.uint8)
    file = file_of(Image.fromarray(pixels), "JPEG")
    decoded = decode_image(file, ImageSpec(24, 24, "rgb"))

    from_file = ask(exported_shapes, "image_bytes", [file])["scores"]

    np.testing.assert_array_equal(from_file, ask(exported_shapes, "serving_default", decoded[np.newaxis])["scores"])


def check_classify(exported: Exported) -> None:
    (taken,) = exported.manifest.signatures["serving_default"].inputs
    pixels = np.random.default_rng(8).integers(0, 256, (5, *taken.shape[1:]), np.uint8)  # type: ignore[arg-type]

    answer = ask(exported, "classify", [example(pixels=image) for image in pixels])

    np.testing.assert_array_equal(answer["scores"], ask(exported, "serving_default", pixels)["scores"])
    assert answer["classes"].tolist() == [[label.encode() for label in exported.manifest.labels]] * 5


def test_examples_are_classified_exactly_as_their_pixels_with_the_labels_beside(exported: Exported) -> None:
    check_classify(exported)


def test_examples_of_two_classes_get_two_scores_also_from_one_sigmoid_unit(exported_shapes: Exported) -> None:
    check_classify(exported_shapes)


def test_examples_are_regressed_exactly_as_their_numbers(exported_regression: Exported) -> None:
    celsius = np.float32([[100], [-40], [37.5]])

    answer = ask(exported_regression, "regress", [example(features=row) for row in celsius])

    predictions = ask(exported_regression, "serving_default", celsius)["predictions"]
    np.testing.assert_array_equal(answer["outputs"], predictions)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (example(pixels=np.full((8, 8), 256)), "expected values from 0 to 255, received some from"),
        (example(pixels=np.full((8, 8), -1)), "expected values from 0 to 255, received some from"),
        (example(pixels=np.zeros((8, 7), int)), "Number of int64 values != expected"),
        (example(pixels=np.zeros((8, 8), np.float32)), "Data types don't match"),
        (example(image=np.zeros((8, 8), int)), "pixels .* is required but could not be found"),
        (b"no example", "Could not parse example"),
    ],
)
def test_an_example_that_does_not_fit_is_an_invalid_argument(exported: Exported, bad: bytes, sentence: str) -> None:
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        ask(exported, "classify", [example(pixels=np.zeros((8, 8), int)), bad])
