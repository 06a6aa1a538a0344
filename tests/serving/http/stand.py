"""What the stands of both versions share: a transport without a socket, a clock that stands still, applications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from serving.frontends.http import WholeAnswer
from serving.http.answering import Answering, App
from serving.http.large_answers import Compression
from serving.http.patience import Patience
from serving.http.service import Service, Signature

PATIENCE = Patience(request_timeout_s=120.0, idle_timeout_s=900.0, max_connection_age_s=0.0)
TEXT, GRPC = (b"content-type", b"text/plain"), (b"content-type", b"application/grpc")


def service_of(app: App, patience: Patience = PATIENCE, scheme: bytes = b"http") -> Service:
    return Service(Answering(app, Compression(None)), patience, scheme, Signature())


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
        self.peername: Any = ("192.0.2.7", 54321)

    def get_extra_info(self, name: str) -> Any:
        return {"peername": self.peername}[name]

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

    @property
    def is_over(self) -> bool:
        """Nothing more is said to the client."""
        return self.is_closed or self.has_ended

    def is_closing(self) -> bool:
        return self.is_closed

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
        try:
            await self._read_and_answer(scope, receive, send)
        except asyncio.CancelledError:
            self.left += 1
            raise

    def answer_call(self, scope: Any, body: bytes) -> Any:
        return partial(self._answer_whole, scope, body)

    def answer_post(self, scope: Any, body: bytes) -> Any:
        return None

    async def wait(self) -> None:
        """Before each answer."""

    async def _read_and_answer(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self._note(scope, body)
        await self.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
        for piece in self._cut(body):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _note(self, scope: Any, body: bytes) -> None:
        self.bodies.append(body)
        self.answered.append((scope, body))

    def _answer_whole(self, scope: Any, body: bytes) -> Any:
        self.scopes.append(scope)
        self.whole.append(body)
        self._note(scope, body)
        return self._echo(body) if GRPC in scope["headers"] else self._repeat(body)

    async def _echo(self, body: bytes) -> WholeAnswer:
        await self._wait_for_whole()
        return WholeAnswer((GRPC,), self._cut(body), ((b"grpc-status", b"0"),))

    async def _repeat(self, body: bytes) -> WholeAnswer:
        await self._wait_for_whole()
        return WholeAnswer((TEXT,), self._cut(body))

    async def _wait_for_whole(self) -> None:
        try:
            await self.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise

    def _cut(self, body: bytes) -> tuple[bytes, ...]:
        step = min(len(body), self._piece_bytes) or 1
        return tuple(body[at : at + step] for at in range(0, len(body), step))


class Prompt(Echo):
    """Answers every POST as a whole that is there as a whole."""

    def answer_post(self, scope: Any, body: bytes) -> Any:
        return partial(self._answer_whole, scope, body)


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

    def answer_call(self, scope: Any, body: bytes) -> Any:
        return None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for piece in self._pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                self.sent += 1
            await send({"type": "http.response.body", "body": b""})
        except (OSError, asyncio.CancelledError):
            self.failed = True
            raise
