"""Processes of a cluster wait for one another; here they are threads."""

from __future__ import annotations

import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.support.ports import free_ports
from training.cluster import Cluster
from training.errors import TrainingError
from training.rendezvous import meet

PATIENCE_S = 60.0


def cluster_of(count: int) -> list[Cluster]:
    addresses = tuple(f"localhost:{port}" for port in free_ports(count))
    return [Cluster(addresses, place, f"worker {place}") for place in range(count)]


def knock(cluster: Cluster, greeting: bytes) -> socket.socket:
    """A connection to the chief, which is listening by now or soon."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            line = socket.create_connection(("localhost", int(cluster.addresses[0].partition(":")[2])))
        except ConnectionRefusedError:
            assert time.monotonic() < give_up_at, "the chief does not listen"
            continue
        line.sendall(greeting)
        return line


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_all_go_on_when_the_last_one_has_come(order: tuple[int, ...]) -> None:
    cluster = cluster_of(3)
    with ThreadPoolExecutor() as pool:
        first: list[Future[None]] = [pool.submit(meet, cluster[place], PATIENCE_S) for place in order[:2]]
        assert not any(one.done() for one in first)

        meet(cluster[order[2]], PATIENCE_S)

        for one in first:
            one.result(PATIENCE_S)


def test_the_chief_says_who_did_not_come() -> None:
    chief, there, absent = cluster_of(3)
    with ThreadPoolExecutor() as pool:
        held = pool.submit(knock, there, b"atelier\0\0\0\1")
        with pytest.raises(TrainingError) as refused:
            meet(chief, 3.0)
        held.result().close()

    assert str(refused.value).startswith("worker 0 waited 0 minutes, but not all came: ")
    assert absent.address in str(refused.value)


def test_a_worker_says_that_the_chief_did_not_come() -> None:
    chief, worker = cluster_of(2)

    with pytest.raises(TrainingError, match=f"^worker 1 waited 0 minutes, but not all came: {chief.address}$"):
        meet(worker, 0.2)


def test_strangers_and_a_worker_that_left_do_not_count() -> None:
    chief, first, second = cluster_of(3)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(meet, chief, PATIENCE_S)
        for greeting in (b"GET / HTTP/1.1\r\n\r\n", b"atelier\0\0\0\0", b"atelier\0\0\0\7", b"", b"atelier\0\0\0\1"):
            knock(chief, greeting).close()
        early = pool.submit(meet, second, PATIENCE_S)
        assert not waiting.done()

        meet(first, PATIENCE_S)

        early.result(PATIENCE_S)
        waiting.result(PATIENCE_S)


def test_a_chief_whose_port_is_taken_says_so() -> None:
    chief, _ = cluster_of(2)
    with (
        socket.create_server(("", int(chief.address.partition(":")[2]))),
        pytest.raises(TrainingError, match=f"^worker 0 cannot listen at {chief.address}: the port is taken$"),
    ):
        meet(chief, PATIENCE_S)
