"""Clients that are slow, many or hostile: each is told off, nobody else notices, and no memory is lost.

These are the short forms; `make hostile` runs the long ones and prints docs/limits.md's table.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import pytest

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, one_connection, running_gateway
from tests.support.hostile.attacks import ATTACKS, CALM
from tests.support.hostile.forms import FORMS
from tests.support.hostile.http2 import PREDICT
from tests.support.hostile.memory import memory_bytes
from tests.support.hostile.raw import Address, ask, connection
from tests.support.hostile.steady import steady_client
from tests.support.onnx_models import write_identity_model
from tests.support.waiting import wait_until

MUCH = 1_000_000_000
"""More memory than any of the attacks may be worth."""
LITTLE = 150_000_000

MAX_CONNECTIONS = 400
SLOW_MACHINE = {"408 closed", "answered"}
"""What the gateway also says, by HTTP and by gRPC, where the attack itself takes longer than a request may."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Serves `brightness` and `text`; whoever takes two seconds for a request is told off."""
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "1")
    write_identity_model(models / "text" / "1", 8, ["N"])
    with running_gateway(models, request_timeout_s=2.0, max_connections=MAX_CONNECTIONS) as running:
        yield running


def is_closed(opened: socket.socket) -> bool:
    """Whether the other side has closed a connection on which it says nothing."""
    return bool(select.select([opened], [], [], 0)[0])


@pytest.fixture
def address(gateway: RunningGateway) -> Address:
    return Address("127.0.0.1", gateway.process.addresses.rest_port)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_harms_nobody_else(name: str, gateway: RunningGateway, address: Address) -> None:
    """Another client is answered meanwhile, and nothing is left of it."""
    attack, before = ATTACKS[name], memory_bytes(gateway)
    with steady_client(address) as client:
        told = attack.run(address, attack.few)
    assert client.latencies_ms
    assert not attack.told or set(told) <= attack.told | SLOW_MACHINE | {CALM}, told
    assert memory_bytes(gateway) < before + MUCH
    assert gateway.rest.get("/healthz").json() == {"live": True}


def test_bombs_over_rest_are_refused_before_they_take_memory(gateway: RunningGateway, address: Address) -> None:
    attack, before = ATTACKS["REST: a gzip bomb of half a gigabyte"], memory_bytes(gateway)
    assert set(attack.run(address, 2)) <= attack.told | SLOW_MACHINE
    assert memory_bytes(gateway) < before + LITTLE


def test_large_bodies_that_are_refused_leave_no_memory_behind(gateway: RunningGateway, address: Address) -> None:
    attack, before = ATTACKS["REST: 16 MiB of empty objects"], memory_bytes(gateway)
    assert set(attack.run(address, 16)) <= attack.told | SLOW_MACHINE
    wait_until(lambda: memory_bytes(gateway) < before + LITTLE, 120.0)


def test_a_refusal_of_what_no_application_sees_is_json_as_any_other(gateway: RunningGateway) -> None:
    answer = gateway.rest.get("/healthz", headers={f"x-{number}": "1" for number in range(200)})
    assert answer.status_code == 431
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"error": "expected at most 100 headers, received more"}


def test_a_grpc_call_that_takes_too_long_to_arrive_is_told_so(gateway: RunningGateway) -> None:
    is_over = threading.Event()

    def never_ending() -> Iterator[bytes]:
        yield b"message"
        is_over.wait(60.0)

    with grpc.insecure_channel(gateway.grpc_address) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.stream_unary(PREDICT)(never_ending())
    is_over.set()
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert refused.value.details() == "the request was refused: request_overall_timeout"


def test_connections_over_the_limit_are_closed_and_those_below_go_on(gateway: RunningGateway, address: Address) -> None:
    with one_connection(gateway.rest_url) as client, ExitStack() as stack:
        assert client.get("/healthz").status_code == 200
        opened = [stack.enter_context(connection(address)) for _ in range(MAX_CONNECTIONS + 100)]
        wait_until(lambda: sum(map(is_closed, opened)) >= 100)
        assert client.get("/healthz").status_code == 200
    wait_until(lambda: ask(address, FORMS["as it should be"].request)[0] == "200")
