"""What a gateway says of models that do not answer, and what it says once they do."""

from __future__ import annotations

from pathlib import Path

import grpc
import httpx
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.support.bundles import damage, write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.onnx_models import write_two_input_model
from tests.support.waiting import wait_until


def get(gateway: RunningGateway, path: str) -> httpx.Response:
    return gateway.rest.get(path)


def test_a_model_that_cannot_be_loaded_is_not_ready_until_it_is_mended(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_two_input_model(models / "pair" / "1")
    damage(write_bundle(models / "brightness" / "2"))
    with running_gateway(models) as gateway, grpc.insecure_channel(gateway.grpc_address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)

        def ready(name: str) -> bool:
            answer: bool = stub.ModelReady(service_pb2.ModelReadyRequest(name=name), timeout=60.0).ready
            return answer

        assert stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=60.0).live
        assert not stub.ServerReady(service_pb2.ServerReadyRequest(), timeout=60.0).ready
        refused = get(gateway, "/v2/health/ready")
        assert (refused.status_code, refused.json()) == (503, {"ready": False})
        assert ready("pair")
        assert not ready("brightness")
        refused = get(gateway, "/v2/models/brightness/ready")
        assert (refused.status_code, refused.json()) == (503, {"name": "brightness", "ready": False})
        refused = get(gateway, "/v2/models/brightness")
        assert (refused.status_code, refused.json()) == (
            404,
            {"error": "Request for unknown model: 'brightness' has no available versions"},
        )
        refused = get(gateway, "/v2/models/brightness/versions/2")
        assert (refused.status_code, refused.json()) == (
            503,
            {"error": "Request for unknown model: 'brightness' version 2 is not at ready state"},
        )
        index = stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=60.0).models
        (broken, whole) = sorted(index, key=lambda model: model.name)
        assert (broken.name, broken.version, broken.state) == ("brightness", "2", "UNAVAILABLE")
        assert "model.onnx has checksum" in broken.reason
        assert (whole.name, whole.version, whole.state, whole.reason) == ("pair", "1", "READY", "")
        only_ready = stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(ready=True), timeout=60.0).models
        assert [model.name for model in only_ready] == ["pair"]

        write_bundle(models / "brightness" / "3")
        wait_until(lambda: get(gateway, "/v2/health/ready").status_code == 200)
        assert ready("brightness")
        assert get(gateway, "/v2/models/brightness").json()["versions"] == ["3"]
        assert get(gateway, "/v2/models/brightness/ready").json() == {"name": "brightness", "ready": True}
