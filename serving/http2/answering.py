"""Hands requests to the application, each with a task of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from serving.frontends.http import Headers
from serving.http2.grpc_web import GrpcWebCall
from serving.http2.stream import ClientLeftError, Stream, encode_answer

log = logging.getLogger("atelier.http2")

_WHOLE_BYTES = 64 * 1024
"""A body that is no longer takes less than what the connection itself may buffer."""


class App(Protocol):
    """An ASGI application, with a shorter way for gRPC calls that are there as a whole."""

    def __call__(self, scope: Any, receive: Any, send: Any, /) -> Awaitable[None]:
        """As ASGI has it."""

    def answer_whole(self, scope: Any, body: bytes, /) -> Awaitable[tuple[Headers, tuple[bytes, ...], Headers]] | None:
        """The answer's headers, its body in pieces, and its trailers; None where the application has to be called."""


class Answering:
    """Of one connection; `fail` ends a stream that the application has left without an answer."""

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop, fail: Callable[[Stream], None]) -> None:
        self._app = app
        self._loop = loop
        self._fail = fail

    def start(self, stream: Stream) -> None:
        """Has a request answered: as a whole where it can be, which is quicker."""
        if stream.head.is_grpc and stream.has_ended and stream.body_bytes <= _WHOLE_BYTES:
            answer = self._app.answer_whole(stream.head.scope, stream.whole_body())
            if answer is not None:
                stream.drop_body()
                stream.task = self._loop.create_task(self._answer_whole(stream, answer))
                return
        stream.task = self._loop.create_task(self._answer(stream))

    async def _answer_whole(
        self, stream: Stream, answering: Awaitable[tuple[Headers, tuple[bytes, ...], Headers]]
    ) -> None:
        try:
            headers, pieces, trailers = await answering
            if not stream.is_gone:
                ending = encode_answer(0, trailers) if trailers else b""
                await stream.send_whole(encode_answer(200, headers), pieces, ending)
        except ClientLeftError:
            pass
        except Exception:
            log.exception("a call of %s failed", stream.head.scope["path"])
        finally:
            self._end(stream)

    async def _answer(self, stream: Stream) -> None:
        scope = stream.head.scope
        try:
            if stream.head.is_grpc_web:
                call = GrpcWebCall(scope, stream.receive, stream.send)
                await self._app(call.scope, call.receive, call.send)
            else:
                await self._app(scope, stream.receive, stream.send)
        except ClientLeftError:
            pass
        except Exception:
            log.exception("a request of %s failed", scope["path"])
        finally:
            self._end(stream)

    def _end(self, stream: Stream) -> None:
        if not stream.is_gone:
            self._fail(stream)
