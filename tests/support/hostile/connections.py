"""Clients that come in crowds, send slowly, or leave in the middle."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from tests.support.hostile.raw import CLOSED, TIMEOUT_S, Address, connection, post, read_to_end, reset, send, statuses

PATH = "/v1/models/brightness:predict"
_HEAD = post(PATH, bytes(10_000_000))[:-10_000_000]
"""Of a request that promises ten megabytes."""
_THREADS = 32


def open_and_drop(address: Address, count: int) -> Counter[str]:
    """Connections that are opened and dropped: without a byte, within the headers, and reset within the body."""

    def one(number: int) -> str:
        with connection(address) as opened:
            if number % 3:
                send(opened, _HEAD[:20] if number % 3 == 1 else _HEAD + b"[")
            if number % 2:
                reset(opened)
        return "dropped"

    return _by_many(one, count)


def abort_uploads(address: Address, count: int) -> Counter[str]:
    """Uploads that end within their body, half of them with a reset."""

    def one(number: int) -> str:
        with connection(address) as opened:
            send(opened, _HEAD + bytes(100_000))
            if number % 2:
                reset(opened)
        return "aborted"

    return _by_many(one, count)


def upload_and_leave(address: Address, count: int) -> Counter[str]:
    """Whole uploads of two megabytes of JSON, whose client is gone before they are read."""
    request = post(PATH, b'{"instances":[' + b"1," * 1_000_000 + b"1]}")

    def one(_: int) -> str:
        with connection(address) as opened:
            send(opened, request)
        return "gone"

    return _by_many(one, count)


def trickle_bodies(address: Address, count: int) -> Counter[str]:
    """A body of one byte a second on each of many connections, until the gateway has had enough."""
    return _trickle(address, count, _HEAD)


def trickle_headers(address: Address, count: int) -> Counter[str]:
    """Headers of one byte a second."""
    return _trickle(address, count, b"GET /healthz HTTP/1.1\r\nx-slow: ")


def never_read(address: Address, count: int) -> Counter[str]:
    """Asks for answers of eight megabytes, more than any socket holds, and reads nothing but their first bytes."""
    rows = b'{"instances":[' + b",".join([b'"' + b"a" * 2000 + b'"'] * 4000) + b"]}"
    found: Counter[str] = Counter()
    with ExitStack() as stack:
        for _ in range(count):
            opened = socket.socket()
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stack.enter_context(opened)
            opened.connect(address)
            opened.settimeout(TIMEOUT_S)
            send(opened, post("/v1/models/text:predict", rows))
            found["not read"] += opened.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 200"
        return found


def _trickle(address: Address, count: int, head: bytes) -> Counter[str]:
    outcome: Counter[str] = Counter()
    with ExitStack() as stack:
        opened = [stack.enter_context(connection(address)) for _ in range(count)]
        for one in opened:
            send(one, head)
        while opened:
            for one in list(opened):
                one.settimeout(1.0 / len(opened))
                if (answer := _answer_so_far(one)) is not None:
                    opened.remove(one)
                    outcome[" ".join([*answer, CLOSED])] += 1
                elif not send(one, b"x"):
                    opened.remove(one)
                    outcome[CLOSED] += 1
    return outcome


def _answer_so_far(opened: socket.socket) -> list[str] | None:
    """The statuses, once the gateway has closed; None while it waits for more."""
    try:
        first = opened.recv(65536)
    except TimeoutError:
        return None
    except ConnectionError:
        return []
    opened.settimeout(60.0)
    return statuses(first + read_to_end(opened))


def _by_many(one: Callable[[int], str], count: int) -> Counter[str]:
    with ThreadPoolExecutor(_THREADS) as threads:
        return Counter(threads.map(one, range(count)))
