"""Labels, weights and shadows in a running gateway, by every protocol."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from serving.client import Client
from serving.errors import InvalidInputError
from tests.support.bundles import write_bundle
from tests.support.files import replace_text
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.image_files import file_of, gradient
from tests.support.onnx_models import write_two_input_model
from tests.support.tfs import predict_request
from tests.support.waiting import wait_until

PIXELS = np.array([[[10, 20], [30, 40]]], np.uint8)
MODEL = "/v1/models/brightness"


def write(path: Path, document: Any) -> None:
    """As promote does: in one moment."""
    replace_text(path, json.dumps(document))


def publish(models: Path, versions: int) -> Path:
    for version in range(1, versions + 1):
        write_bundle(models / "brightness" / str(version), scale=version)
    return models / "brightness"


def served(gateway: RunningGateway, headers: dict[str, str] | None = None) -> int:
    """The version that answers a request which names none, over KServe's REST."""
    return int(infer(gateway.rest, headers)["model_version"])


def infer(client: httpx.Client, headers: dict[str, str] | None = None) -> dict[str, Any]:
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [1, 2, 2], "data": PIXELS.tolist()}
    answer = client.post("/v2/models/brightness/infer", json={"inputs": [tensor]}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def split_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Three versions; 3 of 4 requests that name none are for version 1, the others for version 2."""
    models = tmp_path_factory.mktemp("models")
    folder = publish(models, 3)
    write(folder / "labels.json", {"stable": 1, "canary": 2})
    write(folder / "traffic.json", {"traffic": {"stable": 75, "canary": 25}})
    with running_gateway(models) as running:
        yield running


def by_tfs_grpc(gateway: RunningGateway) -> int:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = stub.Predict(predict_request("brightness", pixels=PIXELS), timeout=60.0)
        return int(answer.model_spec.version.value)


def by_tfs_classify(gateway: RunningGateway) -> int:
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "brightness", "classify"
    example = request.input.example_list.examples.add()
    example.features.feature["pixels"].int64_list.value.extend(PIXELS.ravel().tolist())
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Classify(request, timeout=60.0)
        return int(answer.model_spec.version.value)


def by_oip_grpc(gateway: RunningGateway) -> int:
    tensor = InferInput("pixels", [1, 2, 2], "UINT8")
    tensor.set_data_from_numpy(PIXELS)
    with InferenceServerClient(gateway.grpc_address) as client:
        return int(client.infer("brightness", [tensor]).get_response().model_version)


def by_image(gateway: RunningGateway) -> int:
    answer = gateway.rest.post(
        f"{MODEL}:classify", content=file_of(gradient("L", 2, 2), "PNG"), headers={"content-type": "image/png"}
    )
    return int(answer.json()["model_spec"]["version"])


def by_tfs_rest(gateway: RunningGateway) -> int:
    answer = gateway.rest.post(f"{MODEL}:predict", json={"instances": PIXELS.tolist()})
    return int(answer.headers["x-atelier-version"])


def by_tfs_rest_examples(gateway: RunningGateway) -> int:
    body = {"signature_name": "classify", "examples": [{"pixels": PIXELS.ravel().tolist()}]}
    return int(gateway.rest.post(f"{MODEL}:classify", json=body).headers["x-atelier-version"])


@pytest.mark.parametrize(
    "ask", [by_tfs_grpc, by_tfs_classify, by_tfs_rest, by_tfs_rest_examples, served, by_oip_grpc, by_image]
)
def test_weights_hold_exactly_by_every_protocol(ask: Any, split_gateway: RunningGateway) -> None:
    assert Counter(ask(split_gateway) for _ in range(8)) == {1: 6, 2: 2}


def test_who_names_a_version_or_a_label_is_not_divided(split_gateway: RunningGateway) -> None:
    with grpc.insecure_channel(split_gateway.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_request("brightness", pixels=PIXELS)
        request.model_spec.version_label = "canary"
        labelled = [stub.Predict(request, timeout=60.0).model_spec.version.value for _ in range(4)]
        request = predict_request("brightness", pixels=PIXELS, version=3)
        numbered = [stub.Predict(request, timeout=60.0).model_spec.version.value for _ in range(4)]
    assert (labelled, numbered) == ([2] * 4, [3] * 4)


def test_an_inference_may_name_a_label(split_gateway: RunningGateway) -> None:
    """By a parameter, as the Open Inference Protocol has no other place for it."""
    tensor = InferInput("pixels", [1, 2, 2], "UINT8")
    tensor.set_data_from_numpy(PIXELS)
    parameters = {"version_label": "canary"}
    with InferenceServerClient(split_gateway.grpc_address) as client:
        answers = [client.infer("brightness", [tensor], parameters=parameters).get_response() for _ in range(4)]
        assert [answer.model_version for answer in answers] == ["2"] * 4
        with pytest.raises(InferenceServerException, match="Unrecognized servable version label: new"):
            client.infer("brightness", [tensor], parameters={"version_label": "new"})
        with pytest.raises(InferenceServerException, match="expected either a version or a version_label"):
            client.infer("brightness", [tensor], "1", parameters=parameters)
        with pytest.raises(InferenceServerException, match="version_label: expected a string, received 2"):
            client.infer("brightness", [tensor], parameters={"version_label": 2})
    body = {"inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [1, 2, 2], "data": PIXELS.tolist()}]}
    answer = split_gateway.rest.post("/v2/models/brightness/infer", json={**body, "parameters": parameters})
    assert answer.json()["model_version"] == "2"


def test_the_python_client_may_name_a_label(split_gateway: RunningGateway) -> None:
    with Client(split_gateway.rest_url) as client:
        assert {client.predict("brightness", PIXELS, label="canary").version for _ in range(4)} == {2}
        assert client.predict("brightness", PIXELS.tolist(), label="stable").version == 1
        assert client.classify("brightness", PIXELS[0], label="canary").model_spec.version == "2"
        assert client.classify_many("brightness", [PIXELS[0]], label="canary")[0].model_spec.version == "2"
        with pytest.raises(InvalidInputError, match=r"^Unrecognized servable version label: new$"):
            client.predict("brightness", PIXELS, label="new")
        with pytest.raises(InvalidInputError, match=r"^expected either a version or a label, received both: 3 and 'c"):
            client.classify("brightness", PIXELS[0], version=3, label="canary")
        with pytest.raises(InvalidInputError, match=r"^label: expected the name of a label, received an empty one$"):
            client.predict("brightness", PIXELS, label="")


def by_sticky_header(gateway: RunningGateway, user: str) -> set[int]:
    """The versions that answer one user, by KServe's REST and by TensorFlow Serving's gRPC."""
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_request("brightness", pixels=PIXELS)
        answers = [stub.Predict(request, timeout=60.0, metadata=[("x-user", user)]) for _ in range(2)]
    found = {int(answer.model_spec.version.value) for answer in answers}
    return found | {served(gateway, {"X-User": user}) for _ in range(2)}


def test_a_user_stays_with_one_version_over_every_protocol(tmp_path: Path) -> None:
    folder = publish(tmp_path, 2)
    write(folder / "traffic.json", {"traffic": {"1": 50, "2": 50}, "sticky_header": "X-User"})
    with running_gateway(tmp_path) as gateway:
        found = {f"user-{number}": by_sticky_header(gateway, f"user-{number}") for number in range(12)}
        assert all(len(versions) == 1 for versions in found.values())
        assert set.union(*found.values()) == {1, 2}
    with running_gateway(tmp_path) as gateway:
        assert {user: by_sticky_header(gateway, user) for user in found} == found, "another process agrees"


def test_a_moved_label_is_followed_without_anybody_being_told(tmp_path: Path) -> None:
    folder = publish(tmp_path, 3)
    write(folder / "labels.json", {"stable": 1})
    write(folder / "traffic.json", {"traffic": {"stable": 1}})
    with running_gateway(tmp_path, poll_interval_s=0.0) as gateway:
        assert served(gateway) == 1
        write(folder / "labels.json", {"stable": 3})
        wait_until(lambda: served(gateway) == 3)


def answers(gateway: RunningGateway, requests: int) -> list[Any]:
    return [infer(gateway.rest)["outputs"] for _ in range(requests)]


def test_a_shadow_is_counted_and_changes_no_answer(tmp_path: Path) -> None:
    folder = publish(tmp_path, 3)
    write(folder / "labels.json", {"stable": 1, "canary": 2})
    write(folder / "traffic.json", {"traffic": {"stable": 1}})
    with running_gateway(tmp_path) as gateway:
        before = answers(gateway, 20)
        write(
            folder / "traffic.json",
            {"traffic": {"stable": 1}, "shadow": {"target": "canary", "share": 0.5, "max_busy": 1.0}},
        )

        def counted(outcome: str) -> float:
            pair = 'model_name="brightness"'
            lines = gateway.rest.get("/metrics").text.splitlines()
            found = [line for line in lines if line.startswith("atelier_shadow_requests_total") and outcome in line]
            return sum(float(line.split()[-1]) for line in found if pair in line)

        def compared_something() -> bool:
            assert answers(gateway, 20) == before
            return counted("compared") >= 20

        wait_until(compared_something)
        assert counted("failed") == 0
        metrics = gateway.rest.get("/metrics").text
        assert (
            'atelier_shadow_rows_total{model_name="brightness",primary_version="1",verdict="agreed",version="2"}'
            in metrics
        )
        assert 'atelier_requests_total{api="oip_rest",model_name="brightness",outcome="ok"}' in metrics
        write(folder / "labels.json", {"stable": 1, "canary": 9})
        wait_until(lambda: answers(gateway, 5) == before[:5])


def test_a_shadow_that_cannot_take_the_inputs_fails_by_itself(tmp_path: Path) -> None:
    folder = publish(tmp_path, 1)
    write_two_input_model(folder / "2")
    write(folder / "traffic.json", {"traffic": {"1": 1}, "shadow": {"target": "2", "max_busy": 1.0}})
    with running_gateway(tmp_path) as gateway:
        assert {one["data"][0] for outputs in answers(gateway, 10) for one in outputs}
        labels = 'model_name="brightness",outcome="failed",primary_version="1",version="2"'
        figure = f"atelier_shadow_requests_total{{{labels}}} 10"
        wait_until(lambda: figure in gateway.rest.get("/metrics").text)


def test_traffic_of_the_own_file_is_followed_and_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "models"
    folder = publish(models, 3)
    write(folder / "labels.json", {"stable": 1, "canary": 2})
    write(folder / "traffic.json", {"traffic": {"canary": 1}})
    monkeypatch.chdir(tmp_path)
    table = "[models.brightness]\ntraffic = {{stable = {}, canary = {}}}\n"
    (tmp_path / "atelier.toml").write_text(table.format(3, 1))
    with running_gateway(models) as gateway:
        assert Counter(served(gateway) for _ in range(8)) == {1: 6, 2: 2}
        replace_text(tmp_path / "atelier.toml", table.format(1, 1))
        wait_until(lambda: Counter(served(gateway) for _ in range(8)) == {1: 4, 2: 4})
        (tmp_path / "atelier.toml").unlink()
        wait_until(lambda: Counter(served(gateway) for _ in range(8)) == {2: 8})
