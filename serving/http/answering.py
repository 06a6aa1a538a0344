"""Hands requests to the application, each with a task of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from serving.frontends.http import WholeAnswer
from serving.http.exchange import ClientLeftError, Exchange
from serving.http.grpc_web import GrpcWebCall
from serving.http.large_answers import Compression, LargeAnswer

log = logging.getLogger("atelier.http")

WHOLE_BYTES = 64 * 1024
"""A body that is no longer takes less than what the connection itself may buffer."""


Work = Callable[[], Awaitable[WholeAnswer]]
"""Begun by who awaits what it gives: a client may leave before that."""


class App(Protocol):
    """An ASGI application, with shorter ways for requests that are there as a whole."""

    def __call__(self, scope: Any, receive: Any, send: Any, /) -> Awaitable[None]:
        """As ASGI has it."""

    def answer_call(self, scope: Any, body: bytes, /) -> Work | None:
        """What answers a gRPC call; None where the application has to be called."""

    def answer_post(self, scope: Any, body: bytes, /) -> Work | None:
        """What answers a POST that is no gRPC call; None where the application has to be called."""


class Answering:
    """Of all connections on an event loop."""

    def __init__(self, app: App, compression: Compression) -> None:
        self._app = app
        self._compression = compression
        self._loop = asyncio.get_running_loop()

    def start(self, exchange: Exchange) -> None:
        """Has a request answered: as a whole where it can be, which is quicker."""
        head = exchange.head
        if exchange.has_ended and exchange.body_bytes <= WHOLE_BYTES and (head.is_grpc or head.is_post):
            ask = self._app.answer_call if head.is_grpc else self._app.answer_post
            work = ask(head.scope, exchange.whole_body())
            if work is not None:
                exchange.drop_body()
                exchange.task = self._loop.create_task(self._answer_whole(exchange, work))
                return
        exchange.task = self._loop.create_task(self._answer(exchange))

    async def _answer_whole(self, exchange: Exchange, work: Work) -> None:
        try:
            answer = await work()
            if exchange.head.accepts_gzip and self._is_to_be_compressed(answer):
                answer = await self._compression.compressed(answer)
            if not exchange.is_gone:
                await exchange.send_whole(answer)
        except ClientLeftError:
            pass
        except Exception:
            log.exception("a call of %s failed", exchange.head.scope["path"])
        finally:
            self._end(exchange)

    async def _answer(self, exchange: Exchange) -> None:
        head = exchange.head
        try:
            if head.is_grpc_web:
                call = GrpcWebCall(head.scope, exchange.receive, exchange.send)
                await self._app(call.scope, call.receive, call.send)
            elif head.accepts_gzip and not head.is_grpc:
                await self._app(head.scope, exchange.receive, LargeAnswer(self._compression, exchange.send).send)
            else:
                await self._app(head.scope, exchange.receive, exchange.send)
        except ClientLeftError:
            pass
        except Exception:
            log.exception("a request of %s failed", head.scope["path"])
        finally:
            self._end(exchange)

    def _is_to_be_compressed(self, answer: WholeAnswer) -> bool:
        return len(answer.pieces) == 1 and self._compression.takes(answer.headers, answer.pieces[0])

    @staticmethod
    def _end(exchange: Exchange) -> None:
        exchange.task = None  # else they hold each other, by an error's frames, until the collector looks
        if not exchange.is_gone:
            exchange.fail()
