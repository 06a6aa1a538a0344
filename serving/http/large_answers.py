"""Large answers, compressed for clients that accept gzip. Most do unasked: what travels fast anyway stays as it is."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable

from serving.http.exchange import DONE, Message
from serving.http.requests import Headers

_MIN_BYTES = 16 * 1024
_TYPES = frozenset({b"application/json", b"application/octet-stream"})
_BEST_SPEED, _GZIP = 1, 31


class LargeAnswers:
    """One answer, as an ASGI `send` before another one, which takes an answer's start at once."""

    def __init__(self, send: Callable[[Message], Awaitable[None]]) -> None:
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
            if len(body) >= _MIN_BYTES and not message.get("more_body", False) and _is_worth_it(begin["headers"]):
                return self._send_compressed(begin, body)
            self._send(begin)
        return self._send(message)

    async def _send_compressed(self, begin: Message, body: bytes) -> None:
        body = await asyncio.to_thread(zlib.compress, body, _BEST_SPEED, _GZIP)
        headers = [field for field in begin["headers"] if field[0] != b"content-length"]
        length = (b"content-length", b"%d" % len(body))
        more = [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"), length]
        self._send({**begin, "headers": [*headers, *more]})
        await self._send({"type": "http.response.body", "body": body})


def _is_worth_it(headers: Headers) -> bool:
    known = dict(headers)
    return known.get(b"content-type") in _TYPES and b"content-encoding" not in known
