"""One request and its answer on an HTTP/1.1 connection, as ASGI's `receive` and `send`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

from serving.frontends.http import Headers, WholeAnswer
from serving.http.exchange import DONE, ClientLeftError, Exchange, Message
from serving.http1.heads import RequestHead

if TYPE_CHECKING:
    from serving.http1.connection import Connection

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FIRST_LINES = MappingProxyType(
    {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
)
_CLOSE = b"connection: close\r\n"
_KEEP_ALIVE = b"connection: keep-alive\r\n"
"""What a client of HTTP/1.0 that asks for it is told (RFC 9112, appendix C.2.2)."""
_CHUNKED = b"transfer-encoding: chunked\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_MAX_JOINED_BYTES = 64 * 1024
"""A longer body is not copied to have the answer's head in front of it."""


class HttpExchange(Exchange):
    """Its answer goes as it is sent; in chunks, where its length is not known beforehand."""

    def __init__(self, connection: Connection, request: RequestHead, now_s: float) -> None:
        super().__init__(request.head, now_s)
        self._connection = connection
        self._is_chunked = False
        self._is_of_1_0 = request.is_of_1_0
        self._waits_to_be_asked = request.head.expects_continue and not request.is_of_1_0
        self.is_last = request.is_last
        """The connection ends with the answer."""

    def receive(self) -> Awaitable[Message]:
        """See there; a client that waits to be asked for the body is asked."""
        if self._waits_to_be_asked:
            self._waits_to_be_asked = False
            if not (self.body_bytes or self.has_ended or self.is_gone or self.has_begun_answer):
                self._connection.write(_CONTINUE)
        return super().receive()

    def fail(self) -> None:
        """See there."""
        self._connection.fail(self)

    def _was_read(self) -> None:
        self._connection.read_on()

    # --- what goes ---

    def _send_body(self, body: bytes, *, more: bool) -> Awaitable[None]:
        has_trailers = self._begin is not None and self._begin.get("trailers", False)
        return self._send(body, ends=not (more or has_trailers))

    def _send_trailers(self, trailers: Headers) -> Awaitable[None]:
        """HTTP/1.1 carries none."""
        del trailers
        return self._send(b"", ends=True)

    def send_whole(self, answer: WholeAnswer) -> Awaitable[None]:
        """See there."""
        self._begin = {"status": answer.status, "headers": answer.headers}
        return self._send(b"".join(answer.pieces), ends=True)

    def _send(self, body: bytes, *, ends: bool) -> Awaitable[None]:
        connection, begin = self._connection, self._begin
        head = b""
        if begin is not None:
            self._begin = None
            head = self._head(begin["status"], begin["headers"], len(body) if ends else None)
        if not self.head.has_body_in_answer:
            body = b""
        elif self._is_chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (_LAST_CHUNK if ends else b"")
        if len(body) <= _MAX_JOINED_BYTES:
            connection.write(head + body)
        else:
            connection.write(head)
            connection.write(body)
        if connection.is_writing_paused:
            return self._taken(ends=ends)
        if ends:
            connection.answered(self)
        return DONE

    def _head(self, status: int, headers: Iterable[tuple[bytes, bytes]], body_bytes: int | None) -> bytes:
        """That of the answer, whose body may have a length that is known."""
        self.has_begun_answer = True
        self.is_last = self.is_last or self._connection.leaves or not self.has_ended
        framing = b""
        if not any(name == b"content-length" for name, _ in headers):
            if body_bytes is not None:
                framing = b"content-length: %d\r\n" % body_bytes
            elif self._is_of_1_0:
                self.is_last = True
            else:
                self._is_chunked, framing = True, _CHUNKED
        if self.is_last:
            framing += _CLOSE
        elif self._is_of_1_0:
            framing += _KEEP_ALIVE
        return encode_head(status, headers, self._connection.signature.lines + framing)

    async def _taken(self, *, ends: bool) -> None:
        self.waits_since_s = asyncio.get_running_loop().time()
        self._sent = asyncio.get_running_loop().create_future()
        await self._sent
        if self.is_gone:
            raise ClientLeftError
        if ends:
            self._connection.answered(self)


def encode_head(status: int, headers: Iterable[tuple[bytes, bytes]], more: bytes) -> bytes:
    """The head of an answer; `more` are lines as they are sent."""
    lines = [b"%b: %b\r\n" % field for field in headers]
    return b"".join((_FIRST_LINES[status], *lines, more, b"\r\n"))


def encode_last(status: int, headers: Iterable[tuple[bytes, bytes]], more: bytes, body: bytes) -> bytes:
    """A whole answer, with which the connection ends."""
    return encode_head(status, headers, more + _CLOSE) + body
