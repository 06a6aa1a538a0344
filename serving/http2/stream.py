"""One request and its answer on an HTTP/2 connection, as ASGI's `receive` and `send`."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING

from serving.frontends.http import Headers, WholeAnswer
from serving.http.exchange import DONE, ClientLeftError, Exchange
from serving.http.requests import Head
from serving.wire.http2 import DEFAULT_FRAME_BYTES, encode_fields

if TYPE_CHECKING:
    from serving.http2.connection import Connection

_NOTHING = memoryview(b"")


class Stream(Exchange):
    """Sends as much of its answer as the client's windows take."""

    def __init__(self, connection: Connection, number: int, head: Head, window: int, now_s: float) -> None:
        super().__init__(head, now_s)
        self._connection = connection
        self._outbox = connection.outbox
        self._intake = connection.intake
        self.number = number
        self.window = window
        """How many bytes of its answer the client takes by now."""
        self.unread_bytes = 0
        """Of the body, padding too, for which the client has not been given credit again."""
        self.unsent = _NOTHING
        """What of an answer waits for the client to take more; see serving/http2/outbox.py."""
        self._has_trailers = False
        self._body = b""
        """That of an answer which goes as a whole, with its trailers."""

    def fail(self) -> None:
        """See there."""
        self._connection.fail(self)

    def _was_read(self) -> None:
        self._intake.give_credit_of(self)

    def _send_body(self, body: bytes, *, more: bool) -> Awaitable[None]:
        if not self.head.has_body_in_answer:
            body = b""
        begin = self._begin
        if begin is not None and not more and begin.get("trailers", False):
            self._body = body
            return DONE
        return self._go_on(body, ends=not more)

    def send_whole(self, answer: WholeAnswer) -> Awaitable[None]:
        """See there."""
        trailers = encode_answer(0, answer.trailers) if answer.trailers else b""
        return self._send_blocks(self._head(answer.status, answer.headers), answer.pieces, trailers)

    async def taken(self, now_s: float) -> None:
        """Returns once the client has taken what is `unsent`.

        Raises:
            ClientLeftError: it never will.
        """
        while self.unsent and not self.is_gone:
            self.waits_since_s = now_s
            self._sent = asyncio.get_running_loop().create_future()
            await self._sent
        if self.is_gone:
            raise ClientLeftError

    def _head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        if self.head.is_grpc:
            return encode_answer(status, tuple(headers))
        return encode_answer(status, (*headers, *self._connection.signature.headers))

    async def _send_blocks(self, block: bytes, pieces: tuple[bytes, ...], trailers: bytes) -> None:
        self.has_begun_answer = True
        is_short = len(pieces) == 1 and len(block) + len(trailers) <= DEFAULT_FRAME_BYTES
        if is_short and trailers and self._outbox.takes_at_once(self, len(pieces[0])):
            self._outbox.send_all(self, block, pieces[0], trailers)
        else:
            self._outbox.send_fields(self.number, block, ends=not trailers and not pieces)
            for number, piece in enumerate(pieces, 1):
                await self._outbox.send_body(self, piece, ends=not trailers and number == len(pieces))
            if trailers:
                self._outbox.send_fields(self.number, trailers, ends=True)
        self._connection.answered(self)

    def _send_trailers(self, trailers: Headers) -> Awaitable[None]:
        begin, block = self._begin, encode_answer(0, trailers)
        if begin is None:
            self._outbox.send_fields(self.number, block, ends=True)
            self._connection.answered(self)
            return DONE
        return self._send_blocks(self._head(begin["status"], begin["headers"]), (self._body,), block)

    async def _go_on(self, body: bytes, *, ends: bool) -> None:
        begin, self._begin = self._begin, None
        if begin is not None:
            self._has_trailers = begin.get("trailers", False)
            block = self._head(begin["status"], begin["headers"])
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
