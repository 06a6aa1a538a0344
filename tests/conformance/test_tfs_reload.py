"""HandleReloadConfigRequest, version policies and labels, asked by TensorFlow Serving's own client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

from tests.support.bundles import damage, write_bundle
from tests.support.files import replace_text
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.tfs import failure, outputs, predict_request
from tests.support.waiting import wait_until

PIXELS = [[[0, 85], [170, 255]]]


class Client(NamedTuple):
    """The official stubs, and where the models are."""

    models: Path
    gateway: RunningGateway
    management: model_service_pb2_grpc.ModelServiceStub
    prediction: prediction_service_pb2_grpc.PredictionServiceStub

    def reload(self, config: str) -> model_management_pb2.ReloadConfigResponse:
        return self.management.HandleReloadConfigRequest(self.request(config), timeout=60.0)

    def request(self, config: str) -> model_management_pb2.ReloadConfigRequest:
        """The request with a `models.config`, in which `@` stands for the folder of models."""
        parsed = text_format.Parse(config.replace("@", str(self.models)), model_server_config_pb2.ModelServerConfig())
        return model_management_pb2.ReloadConfigRequest(config=parsed)

    def refusal(self, config: str) -> tuple[grpc.StatusCode, str]:
        return failure(self.management.HandleReloadConfigRequest, self.request(config))

    def served(self, model: str, **choice: Any) -> int:
        """The version that answers."""
        answer = self.prediction.Predict(predict_request(model, pixels=pixels(), **choice), timeout=60.0)
        assert outputs(answer)["scores"].shape == (1, 3)
        return int(answer.model_spec.version.value)

    def states(self, model: str) -> dict[int, str]:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        statuses = self.management.GetModelStatus(request, timeout=60.0).model_version_status
        name = get_model_status_pb2.ModelVersionStatus.State.Name
        return {status.version: name(status.state) for status in statuses}


def pixels() -> Any:
    import numpy as np

    return np.array(PIXELS, np.uint8)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    models = tmp_path_factory.mktemp("models")
    for version in (1, 2, 3):
        write_bundle(models / "clothes" / str(version))
    write_bundle(models / "digits" / "7")
    write_bundle(models / "broken" / "1")
    damage(models / "broken" / "1")
    config = models.parent / "models.config"
    config.write_text(f'model_config_list {{ config {{ name: "clothes" base_path: "{models}/clothes" }} }}')
    with (
        running_gateway(None, model_config_file=config) as gateway,
        grpc.insecure_channel(gateway.grpc_address) as channel,
    ):
        yield Client(
            models,
            gateway,
            model_service_pb2_grpc.ModelServiceStub(channel),
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
        )


@pytest.fixture
def client(running: Client) -> Client:
    """Serves version 3 of `clothes`, and nothing else."""
    running.reload(
        'model_config_list { config { name: "clothes" base_path: "@/clothes" model_platform: "tensorflow" } }'
    )
    wait_until(lambda: [name for name, state in running.states("clothes").items() if state == "AVAILABLE"] == [3])
    return running


def test_a_reload_adds_a_model_and_answers_once_it_does(client: Client) -> None:
    response = client.reload(
        """model_config_list {
          config { name: "clothes" base_path: "@/clothes" model_platform: "tensorflow" }
          config { name: "digits" base_path: "@/digits" model_platform: "tensorflow" }
        }"""
    )

    assert (response.status.error_code, response.status.error_message) == (0, "")
    assert (client.served("clothes"), client.served("digits")) == (3, 7)


def test_a_reload_unloads_what_it_does_not_name(client: Client) -> None:
    client.reload('model_config_list { config { name: "digits" base_path: "@/digits" model_platform: "tensorflow" } }')

    wait_until(lambda: client.gateway.rest.get("/v1/models/clothes").status_code == 404)
    assert failure(client.prediction.Predict, predict_request("clothes", pixels=pixels())) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Latest(clothes)",
    )
    assert client.served("digits") == 7


def test_a_model_may_be_served_under_another_name_than_its_folders(client: Client) -> None:
    client.reload(
        'model_config_list { config { name: "apparel" base_path: "@/clothes" model_platform: "tensorflow" } }'
    )
    assert client.served("apparel") == 3


def test_a_policy_that_changes_is_followed(client: Client) -> None:
    client.reload(
        'model_config_list { config { name: "clothes" base_path: "@/clothes" model_platform: "tensorflow"'
        " model_version_policy { specific { versions: 1 versions: 2 } } } }"
    )

    wait_until(lambda: client.states("clothes") == {3: "END", 2: "AVAILABLE", 1: "AVAILABLE"})
    assert (client.served("clothes"), client.served("clothes", version=1)) == (2, 1)
    assert failure(client.prediction.Predict, predict_request("clothes", version=3, pixels=pixels())) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(clothes, 3)",
    )


def test_labels_are_those_of_the_last_reload(client: Client) -> None:
    labelled = (
        'model_config_list { config { name: "clothes" base_path: "@/clothes" model_platform: "tensorflow"'
        " model_version_policy { all {} } LABELS } }"
    )
    client.reload(
        labelled.replace("LABELS", 'version_labels { key: "stable" value: 1 } version_labels { key: "next" value: 2 }')
    )
    wait_until(lambda: set(client.states("clothes").values()) == {"AVAILABLE"})
    assert (client.served("clothes", label="stable"), client.served("clothes", label="next")) == (1, 2)
    rest = client.gateway.rest.post("/v1/models/clothes/labels/stable:predict", json={"instances": PIXELS})
    assert rest.status_code == 200
    assert client.gateway.rest.get("/v1/models/clothes/labels/stable/metadata").json()["model_spec"]["version"] == "1"
    client.reload(labelled.replace("LABELS", 'version_labels { key: "stable" value: 2 }'))
    wait_until(lambda: client.served("clothes", label="stable") == 2)

    assert failure(client.prediction.Predict, predict_request("clothes", label="next", pixels=pixels())) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "Unrecognized servable version label: next",
    )
    refused = client.gateway.rest.post("/v1/models/clothes/labels/next:predict", json={"instances": PIXELS})
    assert (refused.status_code, refused.json()) == (400, {"error": "Unrecognized servable version label: next"})


def test_a_label_of_a_version_to_come_binds_when_it_comes(client: Client) -> None:
    client.reload(
        'model_config_list { config { name: "clothes" base_path: "@/clothes" model_platform: "tensorflow"'
        ' version_labels { key: "next" value: 4 } } }'
    )
    assert failure(client.prediction.Predict, predict_request("clothes", label="next", pixels=pixels())) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(clothes, 4)",
    )
    folder = write_bundle(client.models / "clothes" / "4")
    wait_until(lambda: client.states("clothes").get(4) == "AVAILABLE")
    assert client.served("clothes", label="next") == 4
    folder.rename(client.models / ".gone-4")


def test_a_model_that_cannot_be_loaded_fails_the_reload_and_the_old_ones_go_on(client: Client) -> None:
    code, text = client.refusal(
        'model_config_list { config { name: "broken" base_path: "@/broken" model_platform: "tensorflow" } }'
    )

    assert code is grpc.StatusCode.UNKNOWN
    assert text.startswith("Some models did not become available: {{name: broken: version 1: model.onnx has checksum ")
    assert client.served("clothes") == 3
    assert client.states("broken") == {1: "END"}


REFUSALS = {
    "a name twice": (
        'model_config_list { config { name: "a" base_path: "/a" } config { name: "a" base_path: "/b" } }',
        "Illegal to list model a multiple times in config list",
    ),
    "a relative path": (
        'model_config_list { config { name: "a" base_path: "./a" } }',
        "Expected model a to have an absolute path or URI; got base_path()=./a",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_reload_is_refused(case: str, client: Client) -> None:
    config, text = REFUSALS[case]
    assert client.refusal(config) == (grpc.StatusCode.INVALID_ARGUMENT, text)
    assert client.served("clothes") == 3


def test_a_change_of_the_file_wins_over_the_last_reload(client: Client) -> None:
    text = f'model_config_list {{ config {{ name: "digits" base_path: "{client.models}/digits" }} }} # new'
    replace_text(client.models.parent / "models.config", text)

    wait_until(lambda: client.gateway.rest.get("/v1/models/clothes").status_code == 404)
    wait_until(lambda: client.gateway.rest.get("/v1/models/digits/metadata").status_code == 200)
    assert client.served("digits") == 7
