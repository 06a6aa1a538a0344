"""Streaming gRPC calls over ASGI: streams of inferences, watching health, reflection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, NoReturn

from google.protobuf.message import DecodeError

from serving.errors import DeadlineExceededError, InvalidInputError, ServingError
from serving.frontends.bodies import Hold
from serving.frontends.grpc_transport import (
    CODE_OF_CAUSE,
    INTERNAL,
    START,
    message_of,
    send_status,
    status_headers,
)
from serving.frontends.http import ClientGoneError, Receive, Scope, Send, header_of, loop_time
from serving.wire.grpc_framing import FrameSplitter, encode_message, parse_timeout

log = logging.getLogger("atelier.grpc")

StreamHandler = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]
"""Takes the client's messages as they come, gives the answers."""


class Stream(NamedTuple):
    """A streaming method; where it `takes_one` message, a client that sends more is refused, not kept waiting."""

    handle: StreamHandler
    takes_one: bool = False


_MAX_WAITING_MESSAGES = 16


async def serve_stream(
    scope: Scope, receive: Receive, send: Send, stream: Stream, hold: Hold, max_message_bytes: int
) -> None:
    """Answers one streaming call until the handler ends, the client leaves or its deadline passes.

    What the stream has sent counts in `hold` until the handler has it.
    """
    incoming: asyncio.Queue[bytes | None] = asyncio.Queue(_MAX_WAITING_MESSAGES)
    answer = _Answer(send)
    try:
        timeout = header_of(scope, b"grpc-timeout")
        deadline = loop_time() + parse_timeout(timeout) if timeout else None
        encoding = header_of(scope, b"grpc-encoding")
        async with _deadline(deadline):
            reading = asyncio.ensure_future(
                _read(receive, incoming, hold, max_message_bytes, takes_one=stream.takes_one)
            )
            messages = _messages(incoming, hold, encoding, max_message_bytes)
            answering = asyncio.ensure_future(answer.send_all(stream.handle(messages)))
            try:
                # Reading ends by an error only: a client that left, or that sent what is no message.
                await asyncio.wait({reading, answering}, return_when=asyncio.FIRST_COMPLETED)
                await (answering if answering.done() else reading)
            finally:
                await _cancelled(reading, answering)
                hold.close()
                del reading, answering  # else an error and this frame hold each other, and what was sent
    except ServingError as error:
        await answer.fail(CODE_OF_CAUSE[type(error)], str(error))
    except DecodeError:
        await answer.fail(
            CODE_OF_CAUSE[InvalidInputError], "the message is not a valid protobuf of the method's request type"
        )
    except ClientGoneError:
        return
    except Exception:
        log.exception("a call of %s failed", scope["path"])
        await answer.fail(INTERNAL, "internal error; the gateway's log has the details")
    else:
        await answer.finish()


class _Answer:
    """What goes back: headers with the first message, the status at the end."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = False

    async def send_all(self, messages: AsyncIterator[bytes]) -> None:
        await self._start()  # requests that take long to end are given up, but not once an answer has begun
        async for message in messages:
            await self._tell(encode_message(message))

    async def finish(self) -> None:
        await self._start()
        await self._end([(b"grpc-status", b"0")])

    async def fail(self, code: int, text: str) -> None:
        if self._started:
            await self._end(status_headers(code, text))
        else:
            await send_status(self._send, code, text)

    async def _start(self) -> None:
        if not self._started:
            self._started = True
            await self._send(START)
            await self._tell(b"")  # which has the headers sent

    async def _tell(self, body: bytes) -> None:
        try:
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
        except OSError as error:  # ASGI's way to say that the client has left, which `receive` says later
            raise ClientGoneError from error

    async def _end(self, headers: list[tuple[bytes, bytes]]) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        await self._send({"type": "http.response.trailers", "headers": headers, "more_trailers": False})


async def _read(
    receive: Receive, incoming: asyncio.Queue[bytes | None], hold: Hold, max_bytes: int, *, takes_one: bool
) -> NoReturn:
    """Passes frames on, then stays to see whether the client leaves."""
    splitter = FrameSplitter(max_bytes)
    more, count = True, 0
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = event.get("body", b"")
        hold.take(len(chunk))
        for frame in splitter.feed(chunk):
            count += 1
            if takes_one and count > 1:
                raise InvalidInputError("expected one message, received more")
            await incoming.put(frame)
        more = event.get("more_body", False)
        await asyncio.sleep(0)  # the handler's turn: what it has taken counts no more
    splitter.close()
    await incoming.put(None)
    await receive()  # there is nothing to come but that the client leaves
    raise ClientGoneError


async def _messages(
    incoming: asyncio.Queue[bytes | None], hold: Hold, encoding: str, max_bytes: int
) -> AsyncIterator[bytes]:
    """Frames wait as they came: inflated, a few could take all memory."""
    while (frame := await incoming.get()) is not None:
        message = await message_of(frame, encoding, max_bytes)
        hold.give_back(len(frame))
        del frame
        yield message


@contextlib.asynccontextmanager
async def _deadline(deadline: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as error:
        raise DeadlineExceededError("Deadline exceeded") from error


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
