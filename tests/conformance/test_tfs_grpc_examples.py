"""Classify, Regress and MultiInference, asked by TensorFlow Serving's own client."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    input_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tests.support.image_files import file_of
from tests.support.onnx_models import LABELS, expected_scores
from tests.support.tfs import failure, outputs, predict_request

Stub = prediction_service_pb2_grpc.PredictionServiceStub
PIXELS = np.array([[[10, 20], [30, 40]], [[1, 2], [3, 4]]], np.uint8)
SCORES = expected_scores(PIXELS, scale=4.0)
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def png_of(pixels: np.ndarray) -> bytes:
    return file_of(Image.fromarray(pixels), "PNG")


def example(**features: Any) -> tf.train.Example:
    """An example; integers become an int64_list, decimals a float_list."""
    made = tf.train.Example()
    for name, given in features.items():
        values = np.ravel(given)
        feature = made.features.feature[name]
        (feature.float_list if values.dtype.kind == "f" else feature.int64_list).value.extend(values.tolist())
    return made


def examples(*rows: tf.train.Example, context: tf.train.Example | None = None) -> input_pb2.Input:
    made = input_pb2.Input()
    if context is None:
        made.example_list.examples.extend(rows)
    else:
        made.example_list_with_context.examples.extend(rows)
        made.example_list_with_context.context.CopyFrom(context)
    return made


IMAGES = examples(*(example(pixels=row) for row in PIXELS))


def classification(
    model: str = "brightness", signature: str = "classify", inputs: input_pb2.Input = IMAGES
) -> classification_pb2.ClassificationRequest:
    request = classification_pb2.ClassificationRequest(input=inputs)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    return request


def regression(
    inputs: input_pb2.Input, model: str = "line", signature: str = "regress"
) -> regression_pb2.RegressionRequest:
    request = regression_pb2.RegressionRequest(input=inputs)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    return request


def multi_inference(inputs: input_pb2.Input, *tasks: tuple[str, str, str]) -> inference_pb2.MultiInferenceRequest:
    """A request of (model, signature, method) tasks."""
    request = inference_pb2.MultiInferenceRequest(input=inputs)
    for model, signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = model, signature
    return request


def classes_of(result: classification_pb2.ClassificationResult) -> list[list[tuple[str, float]]]:
    return [[(found.label, found.score) for found in row.classes] for row in result.classifications]


def test_classify_answers_every_class_with_its_label_in_the_order_of_the_scores(stub: Stub) -> None:
    response = stub.Classify(classification(), timeout=60.0)

    assert classes_of(response.result) == [list(zip(LABELS, row.tolist(), strict=True)) for row in SCORES]
    assert (response.model_spec.name, response.model_spec.version.value) == ("brightness", 4)
    assert response.model_spec.signature_name == "classify"


def test_classify_takes_a_version(stub: Stub) -> None:
    request = classification()
    request.model_spec.version.value = 4
    assert len(stub.Classify(request, timeout=60.0).result.classifications) == 2


def test_features_of_the_context_are_part_of_every_example(stub: Stub) -> None:
    inputs = examples(example(), example(pixels=PIXELS[1]), context=example(pixels=PIXELS[0]))
    response = stub.Classify(classification(inputs=inputs), timeout=60.0)

    assert classes_of(response.result) == [list(zip(LABELS, row.tolist(), strict=True)) for row in SCORES]


def test_many_examples_stay_in_their_order(stub: Stub) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (100, 2, 2), np.uint8)
    inputs = examples(*(example(pixels=row) for row in rows))
    found = classes_of(stub.Classify(classification(inputs=inputs), timeout=60.0).result)

    assert [[score for _, score in row] for row in found] == expected_scores(rows, scale=4.0).tolist()


def test_regress_answers_one_number_a_row(stub: Stub) -> None:
    inputs = examples(example(features=[0.5]), example(features=[-2.0]))
    response = stub.Regress(regression(inputs), timeout=60.0)

    assert [found.value for found in response.result.regressions] == [0.5, -2.0]
    assert (response.model_spec.name, response.model_spec.version.value) == ("line", 1)
    assert response.model_spec.signature_name == "regress"


def test_multi_inference_answers_its_tasks(stub: Stub) -> None:
    response = stub.MultiInference(multi_inference(IMAGES, ("brightness", "classify", CLASSIFY)), timeout=60.0)
    (result,) = response.results

    assert result.WhichOneof("result") == "classification_result"
    assert classes_of(result.classification_result) == classes_of(stub.Classify(classification(), timeout=60).result)
    assert (result.model_spec.version.value, result.model_spec.signature_name) == (4, "classify")


def test_multi_inference_answers_a_regression(stub: Stub) -> None:
    request = multi_inference(examples(example(features=[3.0])), ("line", "regress", REGRESS))
    (result,) = stub.MultiInference(request, timeout=60.0).results

    assert [found.value for found in result.regression_result.regressions] == [3.0]


def test_predict_takes_serialized_examples_too(stub: Stub) -> None:
    serialized = np.array([row.SerializeToString() for row in IMAGES.example_list.examples], object)
    response = stub.Predict(predict_request("brightness", "classify", inputs=serialized), timeout=60.0)
    answer = outputs(response)

    assert answer["classes"].tolist() == [[label.encode() for label in LABELS]] * 2
    np.testing.assert_array_equal(answer["scores"], SCORES)
    assert response.model_spec.signature_name == "classify"


def test_predict_takes_encoded_images(stub: Stub) -> None:
    files = np.array([png_of(row) for row in PIXELS], object)
    answer = outputs(stub.Predict(predict_request("brightness", "image_bytes", image_bytes=files), timeout=60.0))

    assert list(answer) == ["scores"]
    np.testing.assert_array_equal(answer["scores"], SCORES)


def test_images_of_other_sizes_are_resized_to_the_models(stub: Stub) -> None:
    files = np.array([png_of(np.full((30, 50), 7, np.uint8))], object)
    answer = outputs(stub.Predict(predict_request("brightness", "image_bytes", image_bytes=files), timeout=60.0))

    assert answer["scores"].tolist() == [[28.0, 28.0, 28.0]]


def test_metadata_lists_the_signatures_with_their_methods(stub: Stub) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "brightness"
    found = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request, timeout=60.0).metadata["signature_def"].Unpack(found)

    assert {name: entry.method_name for name, entry in found.signature_def.items()} == {
        "serving_default": "tensorflow/serving/predict",
        "image_bytes": "tensorflow/serving/predict",
        "classify": CLASSIFY,
    }
    assert found.signature_def["classify"].inputs["inputs"].dtype == tf.string.as_datatype_enum


NO_SIGNATURE = "No signature was found with the name: other"
PREDICT_SPEC = predict_request("brightness", "image_bytes", image_bytes=np.array([b"no image"], object))
REFUSALS: dict[str, tuple[str, Any, grpc.StatusCode, str]] = {
    "an unknown signature": (
        "Classify",
        classification(signature="other"),
        grpc.StatusCode.INVALID_ARGUMENT,
        NO_SIGNATURE,
    ),
    "an unknown signature to regress by": (
        "Regress",
        regression(IMAGES, signature="other"),
        grpc.StatusCode.INVALID_ARGUMENT,
        NO_SIGNATURE,
    ),
    "a signature for Predict": (
        "Classify",
        classification(signature=""),
        grpc.StatusCode.INVALID_ARGUMENT,
        f"Expected classification signature method_name to be {CLASSIFY}. Was: tensorflow/serving/predict",
    ),
    "a signature of Classify to regress by": (
        "Regress",
        regression(IMAGES, "brightness", "classify"),
        grpc.StatusCode.INVALID_ARGUMENT,
        f"Expected regression signature method_name to be {REGRESS}. Was: {CLASSIFY}",
    ),
    "no examples": (
        "Classify",
        classification(inputs=input_pb2.Input()),
        grpc.StatusCode.INVALID_ARGUMENT,
        "Input is empty.",
    ),
    "no model spec": (
        "Classify",
        classification_pb2.ClassificationRequest(),
        grpc.StatusCode.INVALID_ARGUMENT,
        "Missing ModelSpec",
    ),
    "no name": ("Classify", classification(""), grpc.StatusCode.INVALID_ARGUMENT, "ModelSpec has no name specified."),
    "an unknown model": (
        "Regress",
        regression(IMAGES, "nobody"),
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Latest(nobody)",
    ),
    "a missing feature": (
        "Classify",
        classification(inputs=examples(example(pixels=PIXELS[0]), example(pixel=PIXELS[0]))),
        grpc.StatusCode.INVALID_ARGUMENT,
        'input "inputs", row 1: expected a feature "pixels", received pixel',
    ),
    "a feature of another kind": (
        "Regress",
        regression(examples(example(features=[1]))),
        grpc.StatusCode.INVALID_ARGUMENT,
        'input "inputs", row 0: feature "features": expected float_list, received int64_list',
    ),
    "a feature of another size": (
        "Classify",
        classification(inputs=examples(*[example(pixels=PIXELS[0])] * 9, example(pixels=[1, 2, 3]))),
        grpc.StatusCode.INVALID_ARGUMENT,
        'input "inputs", row 9: feature "pixels": expected 4 values, received 3',
    ),
    "what is no image": (
        "Predict",
        PREDICT_SPEC,
        grpc.StatusCode.INVALID_ARGUMENT,
        (
            'input "image_bytes", row 0: not an image: expected PNG, JPEG, WEBP, GIF, BMP, received 8 bytes '
            "that start with 6e 6f 20 69 6d 61 67 65"
        ),
    ),
    "no images": (
        "Predict",
        predict_request("brightness", "image_bytes", image_bytes=tf.make_tensor_proto([], tf.string)),
        grpc.StatusCode.INVALID_ARGUMENT,
        "expected at least one row, received none",
    ),
    "more rows than could ever wait": (
        "Predict",
        predict_request("brightness", "image_bytes", image_bytes=tf.make_tensor_proto([b""] * 4097)),
        grpc.StatusCode.INVALID_ARGUMENT,
        "expected at most 4096 rows in a request, received 4097",
    ),
    "no tasks": (
        "MultiInference",
        multi_inference(IMAGES),
        grpc.StatusCode.INVALID_ARGUMENT,
        "ModelSpec has no name specified.",
    ),
    "a task without a model": (
        "MultiInference",
        multi_inference(IMAGES, ("brightness", "classify", CLASSIFY), ("", "classify", CLASSIFY)),
        grpc.StatusCode.INVALID_ARGUMENT,
        "Found ModelSpec with an empty model name.",
    ),
    "tasks of several models": (
        "MultiInference",
        multi_inference(IMAGES, ("brightness", "classify", CLASSIFY), ("line", "regress", REGRESS)),
        grpc.StatusCode.INVALID_ARGUMENT,
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    ),
    "a task twice": (
        "MultiInference",
        multi_inference(IMAGES, *[("brightness", "classify", CLASSIFY)] * 2),
        grpc.StatusCode.INVALID_ARGUMENT,
        "Duplicate evaluation of signature: classify",
    ),
    "a task of an unknown signature": (
        "MultiInference",
        multi_inference(IMAGES, ("brightness", "other", CLASSIFY)),
        grpc.StatusCode.INVALID_ARGUMENT,
        "Requested signature not found in model graph: other",
    ),
    "a task to predict": (
        "MultiInference",
        multi_inference(IMAGES, ("brightness", "", "tensorflow/serving/predict")),
        grpc.StatusCode.UNIMPLEMENTED,
        "Unsupported signature method_name: tensorflow/serving/predict",
    ),
    "a task of another method": (
        "MultiInference",
        multi_inference(IMAGES, ("brightness", "classify", REGRESS)),
        grpc.StatusCode.INVALID_ARGUMENT,
        f"Expected regression signature method_name to be {REGRESS}. Was: {CLASSIFY}",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_examples_are_refused_in_a_sentence(case: str, stub: Stub) -> None:
    method, request, code, text = REFUSALS[case]
    assert failure(getattr(stub, method), request) == (code, text)
