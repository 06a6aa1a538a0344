"""Large answers, compressed for clients that accept gzip. Most do unasked: what travels fast anyway stays as it is."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import replace

from serving.frontends.http import Headers, WholeAnswer
from serving.http.exchange import DONE, Message
from serving.in_thread import in_thread

_MIN_BYTES = 16 * 1024
_MAX_WAITING_BYTES = 32 * 1024 * 1024
"""Of answers that wait for their compression. More are sent as they are, which takes less time and less memory."""
_TYPES = frozenset({b"application/json", b"application/octet-stream"})
_BEST_SPEED, _GZIP = 1, 31


class Compression:
    """Of all answers of a worker, in threads that do nothing else."""

    def __init__(self, executor: Executor | None) -> None:
        self._executor = executor
        self._waiting_bytes = 0

    def takes(self, headers: Headers, body: bytes) -> bool:
        """Whether an answer is worth it, and there is time for it."""
        if not _MIN_BYTES <= len(body) <= _MAX_WAITING_BYTES - self._waiting_bytes:
            return False
        known = dict(headers)
        return known.get(b"content-type") in _TYPES and b"content-encoding" not in known

    async def compressed(self, answer: WholeAnswer) -> WholeAnswer:
        """The same, smaller; it has one piece."""
        (body,) = answer.pieces
        size = len(body)
        self._waiting_bytes += size
        try:
            body = await in_thread(self._executor, zlib.compress, body, _BEST_SPEED, _GZIP)
        finally:
            self._waiting_bytes -= size
        headers = (field for field in answer.headers if field[0] != b"content-length")
        more = ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"), (b"content-length", b"%d" % len(body)))
        return replace(answer, headers=(*headers, *more), pieces=(body,))


class LargeAnswer:
    """One answer, as an ASGI `send` before another one, which takes an answer's start at once."""

    def __init__(self, compression: Compression, send: Callable[[Message], Awaitable[None]]) -> None:
        self._compression = compression
        self._send = send
        self._begin: Message | None = None

    def send(self, message: Message) -> Awaitable[None]:
        """ASGI's."""
        if message["type"] == "http.response.start":
            self._begin = message
            return DONE
        begin, self._begin = self._begin, None
        if begin is not None:
            body = message.get("body", b"")
            if not message.get("more_body", False) and self._compression.takes(begin["headers"], body):
                return self._send_compressed(begin, body)
            self._send(begin)
        return self._send(message)

    async def _send_compressed(self, begin: Message, body: bytes) -> None:
        answer = await self._compression.compressed(WholeAnswer(tuple(begin["headers"]), (body,)))
        self._send({**begin, "headers": answer.headers})
        await self._send({"type": "http.response.body", "body": answer.pieces[0]})
