"""One request and its answer on an HTTP/2 connection, as ASGI's `receive` and `send`."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Generator, MutableMapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from serving.frontends.http import ClientGoneError, Headers
from serving.http2.requests import Head
from serving.wire.http2 import DEFAULT_FRAME_BYTES, encode_fields

if TYPE_CHECKING:
    from serving.http2.connection import Connection

_Message = MutableMapping[str, Any]
_ResultT = TypeVar("_ResultT")
_DISCONNECT = {"type": "http.disconnect"}
_NOTHING_MORE = {"type": "http.request", "body": b"", "more_body": False}
_NOTHING = memoryview(b"")


class ClientLeftError(ClientGoneError, OSError):
    """ASGI's way to say that nobody reads the answer any more."""


class _Ready(Generic[_ResultT]):
    """An awaitable whose result is there already, and that nobody has to await."""

    __slots__ = ("_result",)

    def __init__(self, result: _ResultT) -> None:
        self._result = result

    def __await__(self) -> Generator[None, None, _ResultT]:
        return self._result
        yield  # makes it the generator that `await` asks for


_DONE = _Ready(None)


class Stream:
    """Read and answered by one task of the application.

    As with pyvoy, `receive` returns at once when the body has ended: nothing more, or that the client has left.
    """

    task: asyncio.Task[None] | None = None
    is_whole = False
    """The task has the whole request, and asks for nothing: it is cancelled when the client leaves."""
    body_bytes = 0
    unread_bytes = 0
    """Of the body, padding too, for which the client has not been given credit again."""
    has_ended = False
    """The whole request is there."""
    has_begun_answer = False
    has_answered = False
    is_gone = False
    """Nobody waits for the answer any more, or all of it is sent."""
    unsent = _NOTHING
    """What of an answer waits for the client to take more, and since when; see serving/http2/outbox.py."""
    waits_since_s = 0.0
    _sent: asyncio.Future[None] | None = None
    _waiting: asyncio.Future[_Message] | None = None
    _begin: _Message | None = None
    """What the application has begun its answer with, until there is more to send."""
    _has_trailers = False
    _body = b""
    """That of an answer which goes as a whole, with its trailers."""

    def __init__(self, connection: Connection, number: int, head: Head, window: int, now_s: float) -> None:
        self._connection = connection
        self._outbox = connection.outbox
        self.number = number
        self.head = head
        self.window = window
        """How many bytes of its answer the client takes by now."""
        self.begun_at_s = now_s
        self._chunks: list[bytes] = []

    # --- what comes ---

    def take(self, chunk: bytes, flow_bytes: int) -> None:
        """A piece of the body, which counts `flow_bytes` in the window."""
        self.body_bytes += len(chunk)
        self.unread_bytes += flow_bytes
        if chunk:
            self._chunks.append(chunk)
            if self._waiting is not None:
                self._tell_who_waits()

    def end(self) -> None:
        """The body is there."""
        self.has_ended = True
        if self._waiting is not None:
            self._tell_who_waits()

    def leave(self) -> None:
        """The client has cancelled the call or is gone, or all is said."""
        self.is_gone = True
        self._chunks.clear()
        self.unsent = _NOTHING
        self.let_go()
        if self._waiting is not None:
            self._tell_who_waits()
        if self.is_whole and self.task is not None and not self.has_answered:
            self.task.cancel()

    def whole_body(self) -> bytes:
        """The body, once it `has_ended`; it may still be received."""
        chunks = self._chunks
        if len(chunks) > 1:
            self._chunks = chunks = [b"".join(chunks)]
        return chunks[0] if chunks else b""

    def drop_body(self) -> None:
        """It has been read another way than by `receive`."""
        self.is_whole = True
        self._chunks = []
        self._connection.give_credit(self)

    def receive(self) -> Awaitable[_Message]:
        """ASGI's."""
        if self._chunks or self.has_ended or self.is_gone:
            return _Ready(self._next())
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def _next(self) -> _Message:
        if self.is_gone:
            return _DISCONNECT
        chunks = self._chunks
        if not chunks:
            return _NOTHING_MORE
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self._connection.give_credit(self)
        return {"type": "http.request", "body": body, "more_body": not self.has_ended}

    def _tell_who_waits(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(self._next())

    # --- what goes ---

    def send(self, message: _Message) -> Awaitable[None]:
        """ASGI's; done once the client, or the system for it, has taken what is sent.

        Raises:
            ClientLeftError: it never will.
        """
        if self.is_gone:
            raise ClientLeftError
        kind = message["type"]
        if kind == "http.response.start":
            self._begin = message
            return _DONE
        if kind == "http.response.trailers":
            return self._end(encode_answer(0, tuple(message["headers"])))
        body = b"" if self.head.scope["method"] == "HEAD" else message.get("body", b"")
        begin, more = self._begin, message.get("more_body", False)
        if begin is not None and not more and begin.get("trailers", False):
            self._body = body
            return _DONE
        return self._go_on(body, ends=not more)

    async def send_whole(self, block: bytes, pieces: tuple[bytes, ...], trailers: bytes) -> None:
        """A whole answer: the block of its headers, its body, and the block of its trailers, where it has any.

        Raises:
            ClientLeftError: see `send`.
        """
        self.has_begun_answer = True
        is_short = len(pieces) == 1 and len(block) + len(trailers) <= DEFAULT_FRAME_BYTES
        if is_short and trailers and self._outbox.takes_at_once(self, len(pieces[0])):
            self._outbox.send_all(self, block, pieces[0], trailers)
        else:
            self._outbox.send_fields(self.number, block, ends=not trailers)
            for piece in pieces:
                await self._outbox.send_body(self, piece, ends=False)
            if trailers:
                self._outbox.send_fields(self.number, trailers, ends=True)
        self._connection.answered(self)

    async def taken(self, now_s: float) -> None:
        """Returns once the client has taken what is `unsent`.

        Raises:
            ClientLeftError: it never will.
        """
        while self.unsent:
            self.waits_since_s = now_s
            self._sent = asyncio.get_running_loop().create_future()
            await self._sent
        if self.is_gone:
            raise ClientLeftError

    def let_go(self) -> None:
        """Whoever waits for what was sent goes on."""
        if self._sent is not None and not self._sent.done():
            self._sent.set_result(None)

    def _end(self, trailers: bytes) -> Awaitable[None]:
        begin = self._begin
        if begin is None:
            self._outbox.send_fields(self.number, trailers, ends=True)
            self._connection.answered(self)
            return _DONE
        return self.send_whole(encode_answer(begin["status"], tuple(begin["headers"])), (self._body,), trailers)

    async def _go_on(self, body: bytes, *, ends: bool) -> None:
        begin, self._begin = self._begin, None
        if begin is not None:
            self._has_trailers = begin.get("trailers", False)
            block = encode_answer(begin["status"], tuple(begin["headers"]))
            self._outbox.send_fields(self.number, block, ends=ends and not body)
            self.has_begun_answer = True
        ends = ends and not self._has_trailers
        if body or (ends and begin is None):
            await self._outbox.send_body(self, body, ends=ends)
        if ends:
            self._connection.answered(self)


@functools.lru_cache(maxsize=128)
def encode_answer(status: int, headers: Headers) -> bytes:
    """The header block of an answer, or of its trailers, which have status 0; most were needed before."""
    fields = ((b":status", b"%d" % status), *headers) if status else headers
    return encode_fields(fields)
