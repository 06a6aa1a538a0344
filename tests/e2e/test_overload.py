"""A gateway with more to do than it may take: who is refused, and what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.tfs import predict_request
from tests.support.waiting import wait_until

AN_HOUR_MS = 3_600_000
ROOM = 4


def gateway(models: Path, **settings: str) -> Iterator[RunningGateway]:
    """A gateway that waits an hour for a batch to fill, and lets four rows wait."""
    write_bundle(models / "brightness" / "1")
    with running_gateway(
        models, batch_timeout_ms=AN_HOUR_MS, max_queue_rows=ROOM, client_header="x-tenant", **settings
    ) as running:
        yield running


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    yield from gateway(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def like_tensorflow_serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    yield from gateway(tmp_path_factory.mktemp("models"), overload_status="unavailable")


class Clients:
    """Requests of one row each that wait, by the clients that sent them; all have left at the end."""

    def __init__(self, running: RunningGateway) -> None:
        self.running = running
        self._channel = grpc.insecure_channel(running.grpc_address)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self.calls: list[grpc.Future] = []

    def ask(self, **metadata: str) -> grpc.Future:
        sent = [(name.replace("_", "-"), value) for name, value in metadata.items()]
        call = self._stub.Predict.future(
            predict_request("brightness", pixels=np.zeros((1, 2, 2), np.uint8)), metadata=sent
        )
        self.calls.append(call)
        return call

    def wait(self, rows: int) -> None:
        """Returns once so many rows wait."""
        name = "atelier_queue_rows{"

        def queued() -> float:
            lines = self.running.rest.get("/metrics").text.splitlines()
            return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

        wait_until(lambda: queued() == rows)

    def fill(self, **metadata: str) -> None:
        """Lets this client take all the room, its requests one after the other."""
        for rows in range(1, ROOM + 1):
            self.ask(**metadata)
            self.wait(rows)

    def close(self) -> None:
        for call in self.calls:
            call.cancel()
        self.wait(0)
        self._channel.close()


@pytest.fixture
def clients(full: RunningGateway) -> Iterator[Clients]:
    clients = Clients(full)
    yield clients
    clients.close()


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(clients: Clients) -> None:
    clients.fill()
    refused = clients.ask()

    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.details() == "the queue is full: 4 of 4 rows wait, 1 more were sent"
    hint = {**dict(refused.initial_metadata()), **dict(refused.trailing_metadata())}["grpc-retry-pushback-ms"]
    assert int(hint) >= 1
    answer = clients.running.rest.post("/v1/models/brightness:predict", json={"instances": [[[0, 0], [0, 0]]]})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json() == {"error": refused.details()}


def test_the_refused_may_be_told_what_tensorflow_serving_tells_them(like_tensorflow_serving: RunningGateway) -> None:
    clients = Clients(like_tensorflow_serving)
    clients.fill()

    assert clients.ask().code() is grpc.StatusCode.UNAVAILABLE
    body = {"instances": [[[0, 0], [0, 0]]]}
    answer = like_tensorflow_serving.rest.post("/v1/models/brightness:predict", json=body)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    clients.close()


def test_who_asks_for_less_is_let_in_before_who_has_filled_the_queue(clients: Clients) -> None:
    clients.fill(x_tenant="greedy")
    modest = clients.ask(x_tenant="modest")

    assert clients.calls[ROOM - 1].code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert clients.calls[ROOM - 1].details() == "gave way to clients that ask for less"
    assert not modest.done()
    assert clients.ask(x_tenant="greedy").code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_low_priority_gives_way_to_high(clients: Clients) -> None:
    clients.fill(x_atelier_priority="low")
    high = clients.ask()

    assert clients.calls[ROOM - 1].code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not high.done()


def test_tritons_priorities_above_one_are_low(clients: Clients) -> None:
    clients.fill()
    pixels = triton.InferInput("pixels", [1, 2, 2], "UINT8")
    pixels.set_data_from_numpy(np.zeros((1, 2, 2), np.uint8))
    full = pytest.raises(triton.InferenceServerException, match="the queue is full")
    with triton.InferenceServerClient(clients.running.grpc_address) as client, full:
        client.infer("brightness", [pixels], priority=2)
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [1, 2, 2], "data": [0, 0, 0, 0]}
    body = {"inputs": [tensor], "parameters": {"priority": "soon"}}
    answer = clients.running.rest.post("/v2/models/brightness/infer", json=body)
    assert answer.json() == {"error": "priority: expected a whole number from 0, received soon"}


def test_a_priority_that_there_is_not_is_refused(clients: Clients) -> None:
    refused = clients.ask(x_atelier_priority="urgent")

    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.details() == "x-atelier-priority: expected high or low, received 'urgent'"
