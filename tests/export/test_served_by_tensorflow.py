"""A published bundle's SavedModel in a gateway's process answers as its ONNX model does, by every signature."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc, regression_pb2

from export.exporter import Exported
from tests.support.examples import example
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.image_files import file_of
from tests.support.tfs import outputs, predict_request

Gateways = dict[str, RunningGateway]
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def gateways(
    exported: Exported, exported_regression: Exported, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateways]:
    """The digits classifier and the regression by both back ends."""
    models = tmp_path_factory.mktemp("both")
    for published in (exported, exported_regression):
        (models / published.path.parent.name).symlink_to(published.path.parent)
    with contextlib.ExitStack() as stack:
        yield {
            backend: stack.enter_context(running_gateway(models, backend=backend)) for backend in ("onnx", "tensorflow")
        }


def by_each(gateways: Gateways, ask: Any) -> list[Any]:
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(grpc.insecure_channel(one.grpc_address)) for one in gateways.values()]
        return [ask(prediction_service_pb2_grpc.PredictionServiceStub(channel)) for channel in channels]


def test_pixels_image_files_and_examples_give_the_same_scores(
    exported: Exported, gateways: Gateways, digits_images: np.ndarray
) -> None:
    name = exported.path.parent.name
    pixels = digits_images[:5]
    files = np.array([file_of(Image.fromarray(image), "PNG") for image in pixels], dtype=object)
    classify = classification_pb2.ClassificationRequest()
    classify.model_spec.name, classify.model_spec.signature_name = name, "classify"
    for image in pixels:
        classify.input.example_list.examples.add().ParseFromString(example(pixels=image))

    for request in (
        predict_request(name, pixels=pixels),
        predict_request(name, signature="image_bytes", image_bytes=files),
    ):
        onnx, tensorflow = by_each(gateways, lambda stub, asked=request: outputs(stub.Predict(asked, timeout=60.0)))
        np.testing.assert_allclose(tensorflow["scores"], onnx["scores"], atol=TOLERANCE)

    onnx, tensorflow = by_each(gateways, lambda stub: stub.Classify(classify, timeout=60.0).result.classifications)
    for ours, theirs in zip(onnx, tensorflow, strict=True):
        assert [one.label for one in ours.classes] == [one.label for one in theirs.classes]
        np.testing.assert_allclose(
            [one.score for one in ours.classes], [one.score for one in theirs.classes], atol=TOLERANCE
        )


def test_an_image_by_rest_gives_the_same_labels(
    exported: Exported, gateways: Gateways, digits_images: np.ndarray
) -> None:
    content = file_of(Image.fromarray(digits_images[0]), "PNG")
    path = f"/v1/models/{exported.path.parent.name}:classify"
    answers = [one.rest.post(path, content=content).json()["classes"] for one in gateways.values()]
    assert answers[0][0]["label"] == answers[1][0]["label"]
    np.testing.assert_allclose(answers[0][0]["probability"], answers[1][0]["probability"], atol=TOLERANCE)


def test_a_file_that_is_no_image_is_the_clients_mistake(exported: Exported, gateways: Gateways) -> None:
    request = predict_request(exported.path.parent.name, signature="image_bytes", image_bytes=np.array([b"no"]))
    for gateway in gateways.values():
        with grpc.insecure_channel(gateway.grpc_address) as channel, pytest.raises(grpc.RpcError) as caught:
            prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60.0)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_regression_answers_by_its_graph(gateways: Gateways) -> None:
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "celsius", "regress"
    request.input.example_list.examples.add().ParseFromString(example(features=np.float32([100])))
    onnx, tensorflow = by_each(gateways, lambda stub: stub.Regress(request, timeout=60.0).result.regressions[0].value)
    assert tensorflow == pytest.approx(onnx, rel=TOLERANCE)
    assert tensorflow == pytest.approx(212, abs=2)
