"""What the stands of both versions share: a transport without a socket, a clock that stands still, applications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from serving.http.answering import Answering, App
from serving.http.patience import Patience
from serving.http.service import Service, Signature

PATIENCE = Patience(request_timeout_s=120.0, idle_timeout_s=900.0, max_connection_age_s=0.0)
PROXY = b"PROXY TCP4 192.0.2.7 198.51.100.1 54321 8500\r\n"


def service_of(app: App, patience: Patience = PATIENCE, scheme: bytes = b"http") -> Service:
    return Service(Answering(app), patience, scheme, Signature())


class Clock:
    """The event loop's, which stands still until it is set."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """For the `conftest.py` of whoever wants one."""
    loop = asyncio.get_running_loop()
    clock = Clock(loop.time())
    monkeypatch.setattr(loop, "time", clock)
    return clock


class Transport:
    """Keeps what is written to it; tells nobody that it was closed."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_closed = self.is_aborted = self.has_ended = False
        """By `write_eof` the last."""
        self.is_reading = True
        self.unread_bytes = 0
        """What the system has not taken of what was written."""
        self.largest_write = 0
        self.after_write: Callable[[], None] = lambda: None
        self.protocol: Any = None

    def write(self, piece: bytes) -> None:
        if self.is_aborted:
            return  # as asyncio does, which tells of the end a turn later
        assert not self.is_closed, "written after the connection was closed"
        assert not self.has_ended, "written after the end"
        self.written += piece
        self.largest_write = max(self.largest_write, len(piece))
        self.after_write()

    def write_eof(self) -> None:
        self.has_ended = True

    def get_write_buffer_size(self) -> int:
        return self.unread_bytes

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True


class Echo:
    """Answers with what it is asked: gRPC calls that are there as a whole, and others by `receive` and `send`."""

    def __init__(self, piece_bytes: int = 2**40) -> None:
        """No piece of an answer is larger."""
        self._piece_bytes = piece_bytes
        self.scopes: list[dict[str, Any]] = []
        self.answered: list[tuple[dict[str, Any], bytes]] = []
        self.bodies: list[bytes] = []
        self.whole: list[bytes] = []
        """Bodies of those that were answered without `receive`."""
        self.left = 0
        """Requests whose client left before they were answered."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return
            body, more = body + message["body"], message["more_body"]
        self.bodies.append(body)
        self.answered.append((scope, body))
        await self.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for piece in self._cut(body):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def answer_whole(self, scope: Any, body: bytes) -> Any:
        self.scopes.append(scope)
        self.bodies.append(body)
        self.whole.append(body)
        self.answered.append((scope, body))
        return self._echo(body)

    async def wait(self) -> None:
        """Before each answer."""

    async def _echo(self, body: bytes) -> Any:
        try:
            await self.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        return ((b"content-type", b"application/grpc"),), self._cut(body), ((b"grpc-status", b"0"),)

    def _cut(self, body: bytes) -> tuple[bytes, ...]:
        step = min(len(body), self._piece_bytes) or 1
        return tuple(body[at : at + step] for at in range(0, len(body), step))


class Slow(Echo):
    """Answers nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()

    async def wait(self) -> None:
        await self.may_answer.wait()


class Sending(Echo):
    """Answers with a body of its own, in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__()
        self._pieces = pieces
        self.sent = 0
        """How many pieces the client, or the system for it, has taken."""
        self.failed = False

    def answer_whole(self, scope: Any, body: bytes) -> Any:
        return None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for piece in self._pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                self.sent += 1
            await send({"type": "http.response.body", "body": b""})
        except OSError:
            self.failed = True
            raise
