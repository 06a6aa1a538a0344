"""What load balancers go by: a gateway that has been ready stays in service until it stops."""

from __future__ import annotations

import signal
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.bundles import damage, write_bundle
from tests.support.cli import atelier_serve
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.waiting import wait_until

BOTH = {200: health_pb2.HealthCheckResponse.SERVING, 503: health_pb2.HealthCheckResponse.NOT_SERVING}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "models" / "brightness" / "1")
    return tmp_path / "models"


def broken_model(models: Path) -> None:
    """A second model, whose only version cannot be loaded; it appears in one moment."""
    damage(write_bundle(models.parent / "broken" / "1"))
    (models.parent / "broken").rename(models / "broken")


def in_service(gateway: RunningGateway) -> int:
    """The status code of `/in-service`, from whichever worker answers a new connection; gRPC's protocol agrees."""
    code = httpx.get(f"{gateway.rest_url}/in-service", timeout=60.0).status_code
    with grpc.insecure_channel(gateway.grpc_address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        question = health_pb2.HealthCheckRequest(service="in-service")
        assert health_pb2_grpc.HealthStub(channel).Check(question, timeout=60.0).status == BOTH[code]
    return code


def test_a_broken_model_that_comes_later_takes_no_gateway_out_of_service(models: Path) -> None:
    with running_gateway(models, workers=2) as gateway:
        assert in_service(gateway) == 200
        broken_model(models)
        wait_until(
            lambda: {httpx.get(f"{gateway.rest_url}/readyz", timeout=60.0).status_code for _ in range(10)} == {503}
        )
        assert {in_service(gateway) for _ in range(10)} == {200}


def test_a_gateway_that_starts_with_one_is_not_in_service_until_it_is_gone(models: Path) -> None:
    broken_model(models)
    with running_gateway(models) as gateway:
        assert in_service(gateway) == 503
        assert "broken" in gateway.rest.get("/in-service").json()["reasons"][0]
        (models / "broken").rename(models.parent / "mended")
        wait_until(lambda: gateway.rest.get("/in-service").status_code == 200)
        assert in_service(gateway) == 200


def test_a_gateway_that_stops_is_out_of_service(models: Path) -> None:
    with atelier_serve(models, "--drain-grace-s", "60") as gateway, httpx.Client(base_url=gateway.rest_url) as client:
        assert client.get("/in-service", timeout=60.0).status_code == 200
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: client.get("/in-service", timeout=60.0).status_code == 503)
        assert client.get("/in-service", timeout=60.0).json()["reasons"] == ["the gateway is stopping"]
        gateway.process.send_signal(signal.SIGTERM)
        gateway.process.wait(60.0)
