"""Many clients whose bodies are allowed each, and together would take all memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.hostile.memory import memory_bytes
from tests.support.hostile.raw import TIMEOUT_S, Address, connection, post, read_to_end, send, statuses
from tests.support.waiting import wait_until

MEBIBYTE = 1024 * 1024
CLIENTS = 8
BODY_BYTES = 96 * MEBIBYTE
REQUEST = post("/v1/models/brightness:classify", bytes(BODY_BYTES), "content-type: image/png")
ALLOWED_BYTES = 128 * MEBIBYTE
MUCH = 400 * MEBIBYTE
"""Half of what they send."""
PATIENCE_S = 300.0
"""A client that fails keeps nobody waiting for ever."""
ONE_OF_THEM, COME_BACK = "400", "429"
"""What it is told that is no image, and who has to wait."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "1")
    limits = {"max_request_bytes": BODY_BYTES, "max_inflight_bytes": ALLOWED_BYTES}
    with running_gateway(models, request_timeout_s=600.0, **limits) as running:
        yield running


def ask_alone(address: Address) -> str:
    with connection(address) as opened:
        send(opened, REQUEST)
        return " ".join(statuses(read_to_end(opened)))


def test_they_are_let_in_as_far_as_there_is_room_and_the_others_told_to_come_back(gateway: RunningGateway) -> None:
    address, before = Address("127.0.0.1", gateway.process.addresses.rest_port), memory_bytes(gateway)
    all_but_the_end_is_sent, the_end_may_come = threading.Barrier(CLIENTS + 1, timeout=PATIENCE_S), threading.Event()

    def ask() -> str:
        with connection(address) as opened:
            opened.settimeout(None)
            assert send(opened, REQUEST[:-1])
            all_but_the_end_is_sent.wait()
            the_end_may_come.wait(PATIENCE_S)
            opened.settimeout(TIMEOUT_S)
            send(opened, REQUEST[-1:])
            return " ".join(statuses(read_to_end(opened)))

    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = [threads.submit(ask) for _ in range(CLIENTS)]
        all_but_the_end_is_sent.wait()
        memory = memory_bytes(gateway)
        the_end_may_come.set()
    told = Counter(answer.result() for answer in answers)
    assert memory < before + MUCH
    assert set(told) == {ONE_OF_THEM, COME_BACK}, told
    wait_until(lambda: ask_alone(address) == ONE_OF_THEM)  # there is room again
