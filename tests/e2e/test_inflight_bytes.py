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
CLIENTS = 40
BODY = b'{"instances":[[[10,20],[30,40]]]}'
REQUEST = post("/v1/models/brightness:predict", BODY + b" " * (16 * MEBIBYTE - len(BODY)))
ALLOWED_BYTES = 64 * MEBIBYTE
IN_BUFFERS_BYTES = CLIENTS * 4 * MEBIBYTE
"""What Envoy may have of bodies that the gateway does not have yet."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "1")
    with running_gateway(models, max_request_bytes=16 * MEBIBYTE, max_inflight_bytes=ALLOWED_BYTES) as running:
        yield running


def test_they_are_let_in_as_far_as_there_is_room_and_the_others_told_to_come_back(gateway: RunningGateway) -> None:
    address, before = Address("127.0.0.1", gateway.process.addresses.rest_port), memory_bytes(gateway)
    all_but_the_end_is_sent, the_end_may_come = threading.Barrier(CLIENTS + 1), threading.Event()

    def ask() -> str:
        with connection(address) as opened:
            opened.settimeout(None)
            assert send(opened, REQUEST[:-1])
            all_but_the_end_is_sent.wait()
            the_end_may_come.wait()
            opened.settimeout(TIMEOUT_S)
            send(opened, REQUEST[-1:])
            return " ".join(statuses(read_to_end(opened)))

    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = [threads.submit(ask) for _ in range(CLIENTS)]
        all_but_the_end_is_sent.wait()
        memory = memory_bytes(gateway)
        the_end_may_come.set()
    told = Counter(answer.result() for answer in answers)
    assert memory < before + ALLOWED_BYTES + IN_BUFFERS_BYTES < before + CLIENTS * len(REQUEST) // 2
    assert set(told) == {"200", "429"}, told
    # Their memory and their places are free again.
    assert gateway.rest.post("/v1/models/brightness:predict", content=REQUEST.partition(b"\r\n\r\n")[2]).is_success
    wait_until(lambda: memory_bytes(gateway) < before + ALLOWED_BYTES, 120.0)
