"""One request and its answer on an HTTP/2 connection, as ASGI's `receive` and `send`."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Generator, MutableMapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from serving.http2.requests import Head
from serving.wire.http2 import encode_fields

if TYPE_CHECKING:
    from serving.http2.connection import Connection

Headers = tuple[tuple[bytes, bytes], ...]
_Message = MutableMapping[str, Any]
_ResultT = TypeVar("_ResultT")
_DISCONNECT = {"type": "http.disconnect"}
_NOTHING_MORE = {"type": "http.request", "body": b"", "more_body": False}


class ClientLeftError(OSError):
    """ASGI's way to say that nobody reads the answer any more."""


class _Ready(Generic[_ResultT]):
    """An awaitable whose result is there already, and that nobody has to await."""

    __slots__ = ("_result",)

    def __init__(self, result: _ResultT) -> None:
        self._result = result

    def __await__(self) -> Generator[None, None, _ResultT]:
        return self._result
        yield


_DONE = _Ready(None)


class Stream:
    """Read and answered by one task of the application.

    As with pyvoy, `receive` returns at once when the body has ended: nothing more, or that the client has left.
    """

    task: asyncio.Task[None] | None = None
    is_whole = False
    """The task has the whole request, and asks for nothing: it is cancelled when the client leaves."""
    body_bytes = 0
    unread = 0
    """Bytes of the body, padding too, for which the client has not been given credit again."""
    has_ended = False
    """The whole request is there."""
    has_begun_answer = False
    has_answered = False
    is_gone = False
    """Nobody waits for the answer any more."""
    unsent = memoryview(b"")
    sent: asyncio.Future[None] | None = None
    """For whoever sends, while the client takes no more."""
    waits_since = 0.0
    _waiting: asyncio.Future[_Message] | None = None
    _has_trailers = False
    _begin: _Message | None = None
    """What the application has begun its answer with, until there is more to send."""
    _body = b""
    """That of an answer which goes as a whole, with its trailers."""

    def __init__(self, connection: Connection, number: int, head: Head, window: int, now_s: float) -> None:
        self._connection = connection
        self.number = number
        self.head = head
        self.window = window
        """How many bytes of its answer the client takes by now."""
        self.begun_at = now_s
        self._chunks: list[bytes] = []

    # --- what comes ---

    def take(self, chunk: bytes, flow_bytes: int) -> None:
        """A piece of the body, which counts `flow_bytes` in the window."""
        self.body_bytes += len(chunk)
        self.unread += flow_bytes
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
        """The client has cancelled the call, or is gone."""
        self.is_gone = True
        self._chunks.clear()
        self._tell_who_waits()
        if self.is_whole and self.task is not None:
            self.task.cancel()
        self.unsent = memoryview(b"")
        self.let_go()

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
        body = message.get("body", b"")
        if self.head.scope["method"] == "HEAD":
            body = b""
        begin, more = self._begin, message.get("more_body", False)
        if begin is not None and not more and begin.get("trailers", False):
            self._body = body
            return _DONE
        return self._go_on(body, ends=not more)

    def let_go(self) -> None:
        """Whoever waits for what was sent goes on."""
        if self.sent is not None and not self.sent.done():
            self.sent.set_result(None)

    def _end(self, trailers: bytes) -> Awaitable[None]:
        begin, body = self._begin, self._body
        if begin is not None and self._connection.takes_at_once(self, len(body)):
            self._connection.send_all(self, encode_answer(begin["status"], tuple(begin["headers"])), body, trailers)
            return _DONE
        return self._go_on_and_end(body, trailers)

    async def _go_on(self, body: bytes, *, ends: bool) -> None:
        begin, self._begin = self._begin, None
        if begin is not None:
            self.has_begun_answer = True
            self._has_trailers = begin.get("trailers", False)
            block = encode_answer(begin["status"], tuple(begin["headers"]))
            self._connection.send_fields(self, block, ends=ends and not body)
            if not body:
                return
        ends = ends and not self._has_trailers
        if body or ends:
            await self._connection.send_body(self, body, ends=ends)

    async def _go_on_and_end(self, body: bytes, trailers: bytes) -> None:
        if self._begin is not None:
            await self._go_on(body, ends=False)
        self._connection.send_fields(self, trailers, ends=True)


@functools.lru_cache(maxsize=512)
def encode_answer(status: int, headers: Headers) -> bytes:
    """The header block of an answer, or of its trailers, which have status 0; most were needed before."""
    fields = ((b":status", b"%d" % status), *headers) if status else headers
    return encode_fields(fields)
