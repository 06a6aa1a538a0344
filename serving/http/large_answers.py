"""Large answers, compressed for clients that accept gzip. Most do unasked: what travels fast anyway stays as it is."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable

from serving.frontends.http import Headers, WholeAnswer
from serving.http.exchange import DONE, Message

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
            if not message.get("more_body", False) and _is_worth_it(begin["headers"], body):
                return self._send_compressed(begin, body)
            self._send(begin)
        return self._send(message)

    async def _send_compressed(self, begin: Message, body: bytes) -> None:
        answer = await compressed(WholeAnswer(tuple(begin["headers"]), (body,)))
        self._send({**begin, "headers": answer.headers})
        await self._send({"type": "http.response.body", "body": answer.pieces[0]})


def is_large(answer: WholeAnswer) -> bool:
    """Whether an answer is worth its compression."""
    return len(answer.pieces) == 1 and _is_worth_it(answer.headers, answer.pieces[0])


async def compressed(answer: WholeAnswer) -> WholeAnswer:
    """The same, compressed in a thread; it has one piece."""
    body = await asyncio.to_thread(zlib.compress, answer.pieces[0], _BEST_SPEED, _GZIP)
    headers = (field for field in answer.headers if field[0] != b"content-length")
    more = ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"), (b"content-length", b"%d" % len(body)))
    return answer._replace(headers=(*headers, *more), pieces=(body,))


def _is_worth_it(headers: Headers, body: bytes) -> bool:
    if len(body) < _MIN_BYTES:
        return False
    known = dict(headers)
    return known.get(b"content-type") in _TYPES and b"content-encoding" not in known
