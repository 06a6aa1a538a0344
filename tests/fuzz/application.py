"""The gateway's application in this process, without a connection: a request in, the verdict on its answer out."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from serving.control.channel import Channel
from serving.settings import ServingSettings
from serving.worker import Worker
from tests.fuzz.seeds import Request

HANG_S = 60.0
_OUR_FAULT = {b"2": "UNKNOWN", b"13": "INTERNAL", b"15": "DATA_LOSS"}
_UNANSWERED = (None, 500)


class FoundError(AssertionError):
    """What must not happen to any request, whatever is in it."""


class Application:
    """A worker on an event loop of its own, driven call by call."""

    def __init__(self, models: Path, shared: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._errors = _Errors()
        logging.getLogger().addHandler(self._errors)
        self._worker = self._loop.run_until_complete(self._started(models, shared))

    async def _started(self, models: Path, shared: Path) -> Worker:
        settings = ServingSettings(models=models, poll_interval_s=0, onnx_threads=1, max_request_bytes=1_000_000)
        ours, theirs = socket.socketpair()
        self._supervisor = ours  # hears the worker's reports and tells it nothing
        self._channel = await Channel.open(theirs)
        worker = Worker(settings, 0, self._channel, shared)
        await worker.start()
        return worker

    def ask(self, request: Request) -> str:
        """The status of the answer: HTTP's, and gRPC's behind it where it is one.

        Raises:
            FoundError: an internal error, no answer, or one that took too long.
        """
        return self._loop.run_until_complete(self._ask(request))

    def turn(self) -> None:
        """Lets the event loop have what is ready to run."""
        self._loop.run_until_complete(asyncio.sleep(0))

    def close(self) -> None:
        """Ends the worker and its loop."""
        logging.getLogger().removeHandler(self._errors)
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    async def _stop(self) -> None:
        await self._worker.stop()
        self._channel.close()
        self._supervisor.close()
        await asyncio.sleep(0)  # the transport closes its socket in the next step of the loop

    async def _ask(self, request: Request) -> str:
        raw_path, _, query = request.path.partition("?")
        sent: list[dict[str, Any]] = []
        is_grpc = ("content-type", "application/grpc") in request.headers
        staying = {"type": "http.request", "body": b"", "more_body": False}
        afterwards = {"type": "http.disconnect"} if is_grpc else staying
        events = iter([{"type": "http.request", "body": request.body, "more_body": False}])

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0)
            return next(events, afterwards)

        async def send(event: Any) -> None:
            sent.append(event)

        scope = {
            "type": "http",
            "http_version": "2",
            "method": request.method,
            "path": unquote(raw_path),
            "raw_path": request.path.encode("latin-1", "replace"),
            "query_string": query.encode("latin-1", "replace"),
            "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in request.headers],
        }
        try:
            async with asyncio.timeout(HANG_S):
                if len(request.body) % 2 and request.method == "POST":
                    sent = await self._answered_whole(scope, request.body, is_grpc=is_grpc)
                if not sent:
                    await self._worker.app(scope, receive, send)
        except Exception as error:
            raise FoundError(f"{request.path} raised {error!r}") from error
        if self._errors.seen:
            raise FoundError(f"{request.path}: {self._errors.seen.pop()}")
        return _verdict(request, sent)

    async def _answered_whole(self, scope: dict[str, Any], body: bytes, *, is_grpc: bool) -> list[dict[str, Any]]:
        """The events of a request as serving/http/ asks for it; none where it has to be asked otherwise."""
        app = self._worker.app
        work = (app.answer_call if is_grpc else app.answer_post)(scope, body)
        if work is None:
            return []
        answer = await work()
        return [
            {"type": "http.response.start", "status": answer.status, "headers": answer.headers},
            *[{"type": "http.response.body", "body": piece} for piece in answer.pieces],
            {"type": "http.response.trailers", "headers": answer.trailers},
        ]


def _verdict(request: Request, sent: list[dict[str, Any]]) -> str:
    streams = any(value.startswith("application/grpc") for name, value in request.headers if name == "content-type")
    start = next((event for event in sent if event["type"] == "http.response.start"), None)
    if start is None:
        if streams:  # the client of a stream left before there was an answer
            return "left"
        raise FoundError(f"{request.path} was not answered")
    if start["status"] in _UNANSWERED:
        body = b"".join(event.get("body", b"") for event in sent)
        raise FoundError(f"{request.path} was answered {start['status']}: {body[:200]!r}")
    headers = [pair for event in sent for pair in event.get("headers", ())]
    grpc_status = dict(headers).get(b"grpc-status")
    if grpc_status in _OUR_FAULT:
        message = dict(headers).get(b"grpc-message")
        raise FoundError(f"{request.path} ended with {_OUR_FAULT[grpc_status]}: {message!r}")
    return f"{start['status']}" + (f" {grpc_status.decode()}" if grpc_status else "")


class _Errors(logging.Handler):
    """Logged errors, each of which is a failure that nobody foresaw."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(self.format(record))
