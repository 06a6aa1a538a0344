"""A client that sends what it likes, byte by byte, and sees what comes back."""

from __future__ import annotations

import contextlib
import math
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

TIMEOUT_S = 60.0
CLOSED = "closed"
_PIECE_BYTES = 65_536


class Address(NamedTuple):
    """Where a gateway listens; both ports speak HTTP/1.1, HTTP/2 and gRPC."""

    host: str
    port: int


class Link:
    """What carries all that a process sends, so many bytes a second; at first as fast as they are taken."""

    def __init__(self) -> None:
        self.bytes_per_s = math.inf
        self._lock = threading.Lock()
        self._free_at = 0.0

    def carry(self, content: bytes) -> Iterator[bytes]:
        """The content in pieces, each of them when what was sent before it has gone."""
        if math.isinf(self.bytes_per_s):
            yield content
            return
        for start in range(0, len(content), _PIECE_BYTES):
            piece = content[start : start + _PIECE_BYTES]
            with self._lock:
                begins_at = max(self._free_at, time.monotonic())
                self._free_at = begins_at + len(piece) / self.bytes_per_s
            time.sleep(max(0.0, begins_at - time.monotonic()))
            yield piece


LINK = Link()
"""This process' own."""


@contextlib.contextmanager
def connection(address: Address) -> Iterator[socket.socket]:
    """A TCP connection, closed when the block ends."""
    with socket.create_connection(address, timeout=TIMEOUT_S) as opened:
        yield opened


def reset(opened: socket.socket) -> None:
    """Closes the connection the hard way: what was not sent yet is dropped, and the other side gets a reset."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    opened.close()


def send(opened: socket.socket, content: bytes) -> bool:
    """Whether the other side took all of it."""
    try:
        for piece in LINK.carry(content):
            opened.sendall(piece)
    except OSError:
        return False
    return True


def read_to_end(opened: socket.socket) -> bytes:
    """All that comes until the other side closes.

    Raises:
        TimeoutError: it does not close.
    """
    content = bytearray()
    try:
        while received := opened.recv(65536):
            content += received
    except ConnectionError:
        pass
    return bytes(content)


def statuses(content: bytes) -> list[str]:
    """The status codes of the HTTP/1 answers in what came back."""
    return [line.split()[1].decode() for line in content.split(b"\r\n") if line.startswith(b"HTTP/1.")]


def ask(address: Address, request: bytes) -> list[str]:
    """What is answered to these bytes until the gateway closes; `closed` at the end."""
    with connection(address) as opened:
        send(opened, request)
        return [*statuses(read_to_end(opened)), CLOSED]


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A whole request, after which the connection ends."""
    lines = [f"POST {path} HTTP/1.1", "host: gateway", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
