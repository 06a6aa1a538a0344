"""Published bundles of every kind behind a real gateway, asked as clients ask."""

from __future__ import annotations

import io
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from PIL import Image
from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

from export.exporter import Exported
from tests.support.examples import example
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.image_files import file_of
from tests.support.tfs import failure, outputs, predict_request
from training.run import Run

CELSIUS = "/v1/models/celsius"
SHAPES = "/v1/models/my-shapes"


@pytest.fixture(scope="module")
def regression(exported_regression: Exported) -> Iterator[RunningGateway]:
    with running_gateway(exported_regression.path.parents[1]) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def stub(regression: RunningGateway) -> Iterator[prediction_service_pb2_grpc.PredictionServiceStub]:
    with grpc.insecure_channel(regression.grpc_address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def colours(exported_shapes: Exported) -> Iterator[RunningGateway]:
    with running_gateway(exported_shapes.path.parents[1]) as gateway:
        yield gateway


def test_grpc_and_rest_give_the_same_predictions(
    regression: RunningGateway, stub: prediction_service_pb2_grpc.PredictionServiceStub
) -> None:
    celsius = np.float32([[100], [-40], [37]])

    over_grpc = outputs(stub.Predict(predict_request("celsius", features=celsius), timeout=60.0))["predictions"]
    rows = regression.rest.post(f"{CELSIUS}:predict", json={"instances": celsius.tolist()}).json()
    columns = regression.rest.post(f"{CELSIUS}:predict", json={"inputs": {"features": celsius.tolist()}}).json()

    np.testing.assert_allclose(over_grpc, [[212], [-40], [98.6]], atol=2)
    np.testing.assert_array_equal(np.float32(rows["predictions"]), over_grpc)
    np.testing.assert_array_equal(np.float32(columns["outputs"]), over_grpc)


def test_the_gateway_answers_as_the_trained_model(regression: RunningGateway, celsius_run: Run) -> None:
    celsius = np.linspace(-100, 1000, 200, dtype=np.float32).reshape(-1, 1)

    served = regression.rest.post(f"{CELSIUS}:predict", json={"instances": celsius.tolist()}).json()["predictions"]

    np.testing.assert_allclose(served, celsius_run.load_model().predict(celsius, verbose=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("instances", "sentence"),
    [
        ([100.0], 'input "features": expected shape [?, 1], received [1]'),
        ([[1.0, 2.0]], 'input "features": expected shape [?, 1], received [1, 2]'),
        ([["hot"]], 'input "features": expected float32 values, received strings'),
    ],
)
def test_only_what_the_signature_says_is_taken(
    regression: RunningGateway, instances: list[object], sentence: str
) -> None:
    response = regression.rest.post(f"{CELSIUS}:predict", json={"instances": instances})

    assert (response.status_code, response.json()["error"]) == (400, sentence)


def test_pixels_for_a_regression_are_refused_over_grpc(
    stub: prediction_service_pb2_grpc.PredictionServiceStub,
) -> None:
    code, details = failure(stub.Predict, predict_request("celsius", features=np.zeros((1, 28, 28), np.uint8)))

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details == 'input "features": expected dtype float32, received uint8'


def test_the_metadata_names_the_features_and_the_predictions(
    regression: RunningGateway, stub: prediction_service_pb2_grpc.PredictionServiceStub
) -> None:
    over_rest = regression.rest.get(f"{CELSIUS}/metadata").json()["metadata"]["signature_def"]["signature_def"]
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "celsius"
    over_grpc = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request, timeout=60.0).metadata["signature_def"].Unpack(over_grpc)

    default = over_rest["serving_default"]
    assert (list(default["inputs"]), list(default["outputs"])) == (["features"], ["predictions"])
    assert default["inputs"]["features"]["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in default["inputs"]["features"]["tensor_shape"]["dim"]] == ["-1", "1"]
    listed = MessageToDict(over_grpc.signature_def["serving_default"])
    assert (list(listed["inputs"]), list(listed["outputs"])) == (["features"], ["predictions"])


def test_an_image_for_a_regression_is_refused_in_a_sentence(regression: RunningGateway) -> None:
    response = regression.rest.post(f"{CELSIUS}:classify", content=b"any", headers={"content-type": "image/png"})

    assert response.status_code == 501
    assert response.json() == {
        "error": "model celsius is a regression, which takes numbers and no image: ask ':predict'"
    }


def test_the_list_of_models_says_what_each_is_for(regression: RunningGateway, colours: RunningGateway) -> None:
    listed = [gateway.rest.get("/v1/models").json()["models"] for gateway in (regression, colours)]

    assert [[(model["name"], model["task"]) for model in models] for models in listed] == [
        [("celsius", "regression")],
        [("my-shapes", "classification")],
    ]


@pytest.mark.parametrize(("channel", "label"), [(0, "red"), (2, "blue")])
def test_a_colour_image_of_another_size_is_classified_as_the_trained_model_does(
    colours: RunningGateway, shapes_run: Run, channel: int, label: str
) -> None:
    pixels = np.random.default_rng(7).integers(0, 200, (24, 24, 3), np.uint8)
    pixels[..., channel] += 55
    file = io.BytesIO()
    Image.fromarray(pixels).resize((48, 48), Image.Resampling.NEAREST).save(file, "PNG")

    answer = colours.rest.post(f"{SHAPES}:classify", content=file.getvalue(), headers={"content-type": "image/png"})

    assert answer.status_code == 200, answer.text
    probabilities = {found["label"]: found["probability"] for found in answer.json()["classes"]}
    assert set(probabilities) == {"blue", "red"}
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert next(iter(probabilities)) == max(probabilities, key=lambda name: probabilities[name])
    asked = colours.rest.post(f"{SHAPES}:predict", json={"instances": pixels[np.newaxis].tolist()})
    trained = shapes_run.load_model().predict(pixels[np.newaxis], verbose=0)
    np.testing.assert_allclose(asked.json()["predictions"], trained, atol=1e-5)
    assert shapes_run.config.labels == ("blue", "red")
    assert label in probabilities


def test_the_gateway_answers_image_files_and_examples_as_the_saved_model_does(
    colours: RunningGateway, exported_shapes: Exported
) -> None:
    import tensorflow as tf

    saved = tf.saved_model.load(str(exported_shapes.path))
    pixels = np.random.default_rng(9).integers(0, 256, (24, 24, 3), np.uint8)
    photograph = file_of(Image.fromarray(pixels).resize((61, 40)), "JPEG")
    with grpc.insecure_channel(colours.grpc_address) as channel:
        ask = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        answer = ask(predict_request("my-shapes", "image_bytes", image_bytes=[photograph]), timeout=60.0)
    classified = colours.rest.post(
        f"{SHAPES}:classify", json={"signature_name": "classify", "examples": [{"pixels": pixels.ravel().tolist()}]}
    ).json()["results"]

    of_photograph = saved.signatures["image_bytes"](image_bytes=tf.constant([photograph]))["scores"]
    np.testing.assert_allclose(outputs(answer)["scores"], of_photograph, atol=1e-5)
    of_example = saved.signatures["classify"](inputs=tf.constant([example(pixels=pixels)]))
    assert [label for label, _ in classified[0]] == [label.decode() for label in of_example["classes"].numpy()[0]]
    np.testing.assert_allclose([score for _, score in classified[0]], of_example["scores"].numpy()[0], atol=1e-5)


def test_the_gateway_regresses_examples_as_the_saved_model_does(
    regression: RunningGateway, exported_regression: Exported
) -> None:
    import tensorflow as tf

    saved = tf.saved_model.load(str(exported_regression.path))
    asked = {"signature_name": "regress", "examples": [{"features": [100.0]}, {"features": [-40.0]}]}

    results = regression.rest.post(f"{CELSIUS}:regress", json=asked).json()["results"]

    examples = [example(features=np.float32([celsius])) for celsius in (100, -40)]
    expected = saved.signatures["regress"](inputs=tf.constant(examples))["outputs"].numpy()[:, 0]
    np.testing.assert_allclose(results, expected, rtol=1e-5)
