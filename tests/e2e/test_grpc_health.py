"""gRPC's health protocol as its official client speaks it, and how a watch ends."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
TIMEOUT_S = 60.0


@pytest.fixture
def stub(gateway: RunningGateway) -> Iterator[health_pb2_grpc.HealthStub]:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        yield health_pb2_grpc.HealthStub(channel)


def asked_for(service: str) -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=service)


@pytest.mark.parametrize("service", ["", "tensorflow.serving.PredictionService", "grpc.health.v1.Health", "brightness"])
def test_the_gateway_its_services_and_its_models_are_serving(service: str, stub: health_pb2_grpc.HealthStub) -> None:
    assert stub.Check(asked_for(service), timeout=TIMEOUT_S).status == SERVING


def test_an_unknown_name_is_not_found_and_the_known_ones_are_listed(stub: health_pb2_grpc.HealthStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(asked_for("nobody"), timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "unknown service 'nobody'" in caught.value.details()
    assert "brightness" in caught.value.details()


def test_all_statuses_at_once(stub: health_pb2_grpc.HealthStub) -> None:
    statuses = stub.List(health_pb2.HealthListRequest(), timeout=TIMEOUT_S).statuses
    assert {"", "brightness", "pair", "text", "tensorflow.serving.ModelService"} <= set(statuses)
    assert {answer.status for answer in statuses.values()} == {SERVING}


def test_a_watch_ends_when_its_client_cancels_it(stub: health_pb2_grpc.HealthStub) -> None:
    watch = stub.Watch(asked_for("brightness"), timeout=TIMEOUT_S)
    assert next(watch).status == SERVING
    watch.cancel()
    with pytest.raises(grpc.RpcError) as caught:
        next(watch)
    assert caught.value.code() is grpc.StatusCode.CANCELLED


def test_a_watch_ends_at_its_deadline(stub: health_pb2_grpc.HealthStub) -> None:
    watch = stub.Watch(asked_for(""), timeout=1.0)
    with pytest.raises(grpc.RpcError) as caught:
        list(watch)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_watch_follows_a_model_from_unknown_to_gone_and_hears_of_the_end(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_bundle(models / "first" / "1")
    with running_gateway(models, drain_grace_s=0.5) as gateway, grpc.insecure_channel(gateway.grpc_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        later, whole = stub.Watch(asked_for("later")), stub.Watch(asked_for(""))
        assert next(later).status == SERVICE_UNKNOWN
        assert next(whole).status == SERVING

        write_bundle(tmp_path / "ready" / "1")
        (tmp_path / "ready").rename(models / "later")
        seen = [next(later).status]
        while seen[-1] != SERVING:  # while it loads it is known, and may be seen not serving
            seen.append(next(later).status)
        assert set(seen) <= {NOT_SERVING, SERVING}

        (models / "later").rename(tmp_path / "gone")
        seen = [next(later).status]
        while seen[-1] != SERVICE_UNKNOWN:
            seen.append(next(later).status)
        shutil.rmtree(tmp_path / "gone")

        gateway.process.drain_and_stop()
        last = list_until_error(whole)
        assert last[0][-1] == NOT_SERVING
        assert last[1] is grpc.StatusCode.UNAVAILABLE


def list_until_error(watch: grpc.Call) -> tuple[list[int], grpc.StatusCode]:
    seen = []
    try:
        seen.extend(answer.status for answer in watch)
    except grpc.RpcError as error:
        return seen, error.code()
    raise AssertionError(f"the watch ended without an error after {seen}")


def test_a_watch_of_more_than_one_question_is_refused(gateway: RunningGateway) -> None:
    """A client that goes on sending what nobody reads could leave without being noticed."""
    question = health_pb2.HealthCheckRequest()
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        watch = channel.stream_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        with pytest.raises(grpc.RpcError) as refused:
            list(watch(iter([question] * 20), timeout=60.0))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "expected one message, received more"
