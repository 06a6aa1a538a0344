"""Ports are held for the workers of one gateway, and for nobody else."""

from __future__ import annotations

import select
import socket

import pytest

from serving.connections.ports import listen
from serving.supervision.ports import hold, number_of


def listening(port: int) -> socket.socket:
    """As a worker listens, but for waiting."""
    worker = listen("127.0.0.1", port)
    worker.setblocking(True)
    return worker


def test_workers_listen_together_and_get_all_connections() -> None:
    with hold("127.0.0.1", 0) as holder, listening(number_of(holder)) as one, listening(number_of(holder)) as other:
        clients = [socket.create_connection(("127.0.0.1", number_of(holder)), timeout=60) for _ in range(20)]
        for _ in clients:  # a client may be connected a moment before its connection can be accepted
            ready, _, _ = select.select([one, other], [], [], 60.0)
            assert ready
            ready[0].accept()[0].close()
        for client in clients:
            client.close()


def test_a_second_gateway_is_refused_before_and_after_the_first_one_listens() -> None:
    with hold("127.0.0.1", 0) as holder:
        with pytest.raises(OSError, match="in use"):
            hold("127.0.0.1", number_of(holder))
        with listening(number_of(holder)), pytest.raises(OSError, match="in use"):
            hold("127.0.0.1", number_of(holder))


def test_a_port_that_somebody_else_listens_at_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        hold("127.0.0.1", taken.getsockname()[1])


def test_a_port_is_free_again_at_once_although_connections_linger() -> None:
    with hold("127.0.0.1", 0) as holder, listening(number_of(holder)) as worker:
        port = number_of(holder)
        client = socket.create_connection(("127.0.0.1", port), timeout=60)
        worker.accept()[0].close()  # who closes first keeps the connection in TIME-WAIT
        client.close()
    hold("127.0.0.1", port).close()
