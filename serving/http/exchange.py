"""One request and its answer, as ASGI's `receive` and `send`, whatever version of HTTP carries them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Generator, MutableMapping
from typing import Any, Generic, TypeVar

from serving.frontends.http import ClientGoneError, Headers, WholeAnswer
from serving.http.requests import Head

Message = MutableMapping[str, Any]
_ResultT = TypeVar("_ResultT")
_DISCONNECT = {"type": "http.disconnect"}
_NOTHING_MORE = {"type": "http.request", "body": b"", "more_body": False}


class ClientLeftError(ClientGoneError, OSError):
    """ASGI's way to say that nobody reads the answer any more."""


class Ready(Generic[_ResultT]):
    """An awaitable whose result is there already, and that nobody has to await."""

    __slots__ = ("_result",)

    def __init__(self, result: _ResultT) -> None:
        self._result = result

    def __await__(self) -> Generator[None, None, _ResultT]:
        return self._result
        yield  # makes it the generator that `await` asks for


DONE = Ready(None)


class Exchange(ABC):
    """Read and answered by one task of the application, which is cancelled when the client leaves."""

    def __init__(self, head: Head, now_s: float) -> None:
        self.head = head
        self.begun_at_s = self.waits_since_s = now_s
        """When the request began to come; and when the client last took some of an answer that waits."""
        self.task: asyncio.Task[None] | None = None
        self.body_bytes = 0
        self.has_ended = False
        """The whole request is there."""
        self.has_begun_answer = self.has_answered = False
        self.is_gone = False
        """Nobody waits for the answer any more, or all of it is sent."""
        self._chunks: list[bytes] = []
        self._begin: Message | None = None
        """What the application has begun its answer with, until there is more to send."""
        self._has_told_end = False
        self._waiting: asyncio.Future[Message] | None = None
        self._sent: asyncio.Future[None] | None = None

    # --- what comes ---

    def take(self, chunk: bytes) -> None:
        """A piece of the body."""
        self.body_bytes += len(chunk)
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
        """The client has cancelled the request or is gone, or all is said."""
        self.is_gone = True
        self._chunks.clear()
        if self._sent is not None:
            self.let_go()
        if self._waiting is not None:
            self._tell_who_waits()
        if self.task is not None and not self.has_answered:
            self.task.cancel()

    def whole_body(self) -> bytes:
        """The body, once it `has_ended`; it may still be received."""
        chunks = self._chunks
        if len(chunks) > 1:
            self._chunks = chunks = [b"".join(chunks)]
        return chunks[0] if chunks else b""

    def drop_body(self) -> None:
        """It has been read another way than by `receive`."""
        self._has_told_end = True
        self._chunks = []
        self._was_read()

    def receive(self) -> Awaitable[Message]:
        """ASGI's."""
        if self._chunks or self.is_gone or (self.has_ended and not self._has_told_end):
            return Ready(self._next())
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def _next(self) -> Message:
        if self.is_gone:
            return _DISCONNECT
        chunks, self._has_told_end = self._chunks, self.has_ended
        if not chunks:
            return _NOTHING_MORE
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self._was_read()
        return {"type": "http.request", "body": body, "more_body": not self.has_ended}

    def _tell_who_waits(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(self._next())

    @abstractmethod
    def _was_read(self) -> None:
        """The application has all that came so far."""

    # --- what goes ---

    def send(self, message: Message) -> Awaitable[None]:
        """ASGI's; done once the client, or the system for it, has taken what is sent.

        Raises:
            ClientLeftError: it never will.
        """
        if self.is_gone:
            raise ClientLeftError
        kind = message["type"]
        if kind == "http.response.start":
            self._begin = message
            return DONE
        if kind == "http.response.trailers":
            return self._send_trailers(tuple(message["headers"]))
        return self._send_body(message.get("body", b""), more=message.get("more_body", False))

    @abstractmethod
    def _send_body(self, body: bytes, *, more: bool) -> Awaitable[None]:
        """A piece of the answer's body, with what it has begun with; there may be trailers behind the last."""

    @abstractmethod
    def _send_trailers(self, trailers: Headers) -> Awaitable[None]:
        """The answer's end."""

    @abstractmethod
    def send_whole(self, answer: WholeAnswer) -> Awaitable[None]:
        """All of the answer.

        Raises:
            ClientLeftError: see `send`.
        """

    @abstractmethod
    def fail(self) -> None:
        """The application has left it without an answer, or in the middle of one."""

    def let_go(self) -> None:
        """Whoever waits for what was sent goes on."""
        if self._sent is not None and not self._sent.done():
            self._sent.set_result(None)
