"""Several workers on the same ports: started, watched, told of each other, drained together."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from serving.server import StartError
from tests.support.bundles import write_bundle
from tests.support.cli import atelier_serve
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.load import steady_load
from tests.support.tfs import predict_request
from tests.support.waiting import wait_until

REQUEST = predict_request("brightness", pixels=np.zeros((1, 2, 2), np.uint8))
PREDICT = "/v1/models/brightness:predict"
ROWS = {"instances": [[[0, 0], [0, 0]]]}
IN_FLIGHT = 16


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "brightness" / "1")
    return tmp_path


def status(gateway: RunningGateway) -> dict[str, object]:
    """`/status`, from whichever worker answers a new connection."""
    return dict(httpx.get(f"{gateway.rest_url}/status", timeout=60.0).json())


def workers(gateway: RunningGateway) -> list[dict[str, object]]:
    return status(gateway)["workers"]  # type: ignore[return-value]


def requests_counted(gateway: RunningGateway) -> float:
    text = httpx.get(f"{gateway.rest_url}/metrics", timeout=60.0).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "atelier_requests_total"
    )


def ask(gateway: RunningGateway, times: int) -> None:
    """Each request on a new connection, of which the kernel gives every worker some."""
    for _ in range(times):
        assert httpx.post(f"{gateway.rest_url}{PREDICT}", json=ROWS, timeout=60.0).status_code == 200


def test_any_worker_tells_of_all_of_them(models: Path) -> None:
    with running_gateway(models, workers=2) as gateway:
        assert gateway.rest.get("/readyz").json() == {"ready": True, "reasons": []}
        ask(gateway, 20)
        assert {requests_counted(gateway) for _ in range(10)} == {20}
        seen = workers(gateway)
        assert [worker["pid"] for worker in seen] == gateway.process.worker_pids
        assert [(worker["number"], worker["state"], worker["restarts"]) for worker in seen] == [
            (1, "serving", 0),
            (2, "serving", 0),
        ]


async def test_when_a_worker_is_killed_only_its_requests_fail_and_it_comes_back(models: Path) -> None:
    with running_gateway(models, workers=2) as gateway:
        killed = gateway.process.worker_pids[0]
        async with steady_load(gateway.grpc_address, REQUEST, IN_FLIGHT, connections=IN_FLIGHT) as tally:
            await tally.seen(1, times=200)
            os.kill(killed, signal.SIGKILL)
            await asyncio.to_thread(wait_until, lambda: len(set(gateway.process.worker_pids) - {killed}) == 2)
            await tally.goes_on(200)
        # One client a connection: those of the other worker lose nothing. One of the dead worker loses the request that
        # was held there, and what it asks while gRPC waits before it connects anew, if the closing port took it once.
        assert len(tally.failures_by_client) < IN_FLIGHT
        assert {failure.partition(":")[0] for failure in tally.failures} <= {"StatusCode.UNAVAILABLE"}
        after = await asyncio.to_thread(workers, gateway)
        assert [(worker["state"], worker["restarts"]) for worker in after] == [("serving", 1), ("serving", 0)]


def test_while_a_worker_is_down_the_others_are_ready_and_answer(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.supervision.supervisor.restart_delay_s", lambda *_: 3600.0)
    with running_gateway(models, workers=2) as gateway:
        killed = gateway.process.worker_pids[1]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in gateway.process.worker_pids)  # until it is gone, it is given connections
        wait_until(lambda: [worker["state"] for worker in workers(gateway)] == ["serving", "restarting"])
        for _ in range(10):
            answer = httpx.get(f"{gateway.rest_url}/readyz", timeout=60.0)
            assert (answer.status_code, answer.json()["reasons"]) == (200, [])
            assert httpx.post(f"{gateway.rest_url}{PREDICT}", json=ROWS, timeout=60.0).status_code == 200


def test_a_worker_that_hangs_is_killed_and_started_again(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_gateway(models, workers=2, hang_timeout_s=5.0) as gateway:
        hung = gateway.process.worker_pids[0]
        os.kill(hung, signal.SIGSTOP)
        wait_until(lambda: hung not in gateway.process.worker_pids)
        wait_until(lambda: len(gateway.process.worker_pids) == 2)
        ask(gateway, 20)
        assert f"(process {hung}) hangs: no sign of life for 5 s; it is killed" in caplog.text
        assert f"(process {hung}) was ended by SIGKILL" in caplog.text


def test_counts_never_fall_when_a_worker_is_killed(models: Path) -> None:
    with running_gateway(models, workers=2) as gateway:
        ask(gateway, 20)
        before = requests_counted(gateway)
        killed = gateway.process.worker_pids[0]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in gateway.process.worker_pids)
        assert requests_counted(gateway) == before
        wait_until(lambda: len(gateway.process.worker_pids) == 2)
        assert requests_counted(gateway) == before


def test_it_is_ready_once_every_worker_has_loaded_a_new_model(models: Path) -> None:
    with running_gateway(models, workers=2) as gateway:
        write_bundle(models / "second" / "1")
        # On one connection: the worker that has seen the model is the one that says what the others answer for.
        wait_until(lambda: "second" in str(gateway.rest.get("/status").json()["models"]))
        wait_until(lambda: gateway.rest.get("/status").json()["ready"])
        for _ in range(10):
            assert httpx.get(f"{gateway.rest_url}/v1/models/second/metadata", timeout=60.0).status_code == 200


def test_who_waits_for_a_version_to_be_available_may_ask_any_worker_for_it(models: Path) -> None:
    with running_gateway(models, workers=2) as gateway:
        for version in range(2, 7):
            write_bundle(models / "brightness" / str(version))
            path = f"{gateway.rest_url}/v1/models/brightness/versions/{version}"
            wait_until(lambda path=path: "AVAILABLE" in httpx.get(path, timeout=60.0).text)  # type: ignore[misc]
            answers = [httpx.post(f"{path}:predict", json=ROWS, timeout=60.0).status_code for _ in range(6)]
            assert answers == [200] * 6


@pytest.mark.parametrize("poll_interval_s", [0.05, 0.0], ids=["they look", "they look once"])
def test_a_reload_is_answered_when_every_worker_answers_for_the_new_models(
    models: Path, poll_interval_s: float
) -> None:
    settings = {"workers": 2, "poll_interval_s": poll_interval_s}
    with running_gateway(models, **settings) as gateway, grpc.insecure_channel(gateway.grpc_address) as channel:
        management = model_service_pb2_grpc.ModelServiceStub(channel)
        for name in ("first", "next", "last"):
            request = model_management_pb2.ReloadConfigRequest()
            request.config.model_config_list.config.add(
                name=name, base_path=str(models / "brightness"), model_platform="tensorflow"
            )
            management.HandleReloadConfigRequest(request, timeout=60.0)
            path = f"{gateway.rest_url}/v1/models/{name}:predict"
            assert [httpx.post(path, json=ROWS, timeout=60.0).status_code for _ in range(6)] == [200] * 6


def test_a_worker_that_never_comes_up_is_a_start_error(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.supervision.worker_process.SETTINGS_VARIABLE", "ATELIER_NOBODY_READS_THIS")
    with (
        pytest.raises(StartError, match=r"worker [12] .* before it took connections"),
        running_gateway(models, workers=2),
    ):
        pass


def test_a_worker_that_is_starting_when_the_gateway_stops_opens_no_port_again(models: Path) -> None:
    with running_gateway(models, workers=2, drain_timeout_s=3.0) as gateway:
        killed, stays = gateway.process.worker_pids
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: gateway.process.worker_pids == [stays])
        address = ("127.0.0.1", gateway.process.addresses.rest_port)
        with socket.create_connection(address) as unfinished, ThreadPoolExecutor(1) as executor:
            unfinished.sendall(f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{".encode())
            stopping = executor.submit(gateway.process.drain_and_stop)
            wait_until(lambda: not takes(address))
            while not stopping.done():
                assert not takes(address)


def takes(address: tuple[str, int]) -> bool:
    """Whether anybody listens there."""
    try:
        socket.create_connection(address).close()
    except ConnectionError:
        return False
    return True


async def test_a_stop_under_load_with_long_connections_fails_no_request(models: Path) -> None:
    """Clients know two gateways behind one name, as in a rolling update; one of them stops."""
    with running_gateway(models, workers=2) as staying, atelier_serve(models, "--workers", "2") as stopping:
        name = f"ipv4:{stopping.grpc_address},{staying.grpc_address}"
        async with steady_load(name, REQUEST, IN_FLIGHT, connections=IN_FLIGHT) as tally:
            await tally.seen(1, times=500)
            stopping.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(stopping.process.wait, 60.0) == 0
            await tally.goes_on(500)
        assert tally.failures == []
        assert requests_counted(staying) > 0


def test_a_reload_counts_for_every_worker_and_for_one_that_is_started_again(models: Path, tmp_path: Path) -> None:
    others = tmp_path.parent / f"{tmp_path.name}-others"
    write_bundle(others / "other" / "1")
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(name="other", base_path=str(others / "other"))

    def served(model: str) -> set[int]:
        """The status codes of as many new connections as reach every worker."""
        return {httpx.get(f"{gateway.rest_url}/v1/models/{model}", timeout=60.0).status_code for _ in range(20)}

    with running_gateway(models, workers=2) as gateway, grpc.insecure_channel(gateway.grpc_address) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        assert stub.HandleReloadConfigRequest(request, timeout=120.0).status.error_code == 0
        assert served("other") == {200}
        wait_until(lambda: served("brightness") == {404})
        killed = gateway.process.worker_pids[0]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(set(gateway.process.worker_pids) - {killed}) == 2)
        wait_until(lambda: [worker["state"] for worker in workers(gateway)] == ["serving", "serving"])
        assert served("other") == {200}
        assert served("brightness") == {404}
