"""Bodies as ASGI events, without a server."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

from serving.errors import InvalidInputError, OverloadedError, PayloadTooLargeError
from serving.frontends.bodies import Bodies, Hold, InflightBytes
from serving.frontends.grpc_streams import Stream, serve_stream
from serving.frontends.http import ClientGoneError
from serving.wire.grpc_framing import encode_message
from tests.support.stepping import turn

CHUNK = bytes(100_000)


class Client:
    """Sends chunks, the next one when it is told to; leaves instead of sending None."""

    def __init__(self, *chunks: bytes | None) -> None:
        self.unread = list(chunks)

    async def receive(self) -> dict[str, Any]:
        chunk = self.unread.pop(0)
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(self.unread)}


@pytest.fixture
def inflight() -> InflightBytes:
    return InflightBytes(300_000)


async def test_what_was_read_counts_until_its_task_has_ended(inflight: InflightBytes) -> None:
    is_answered = asyncio.Event()

    async def request() -> bytes:
        body = await Bodies(inflight).read(Client(CHUNK, CHUNK).receive, 1_000_000)
        await is_answered.wait()
        return body

    task = asyncio.create_task(request())
    await turn()
    assert inflight.held == 200_000
    is_answered.set()
    assert await task == CHUNK + CHUNK
    await turn()
    assert inflight.held == 0


@pytest.mark.parametrize("chunks", [[CHUNK, CHUNK, b"end"], [CHUNK * 2 + b"end"]])
async def test_all_together_hold_no_more_than_is_allowed(chunks: list[bytes], inflight: InflightBytes) -> None:
    inflight.take(100_000)
    client = Client(*chunks)
    with pytest.raises(OverloadedError, match=r"bytes of requests are held, .* more were sent"):
        await asyncio.create_task(Bodies(inflight).read(client.receive, 1_000_000))
    assert client.unread == [], "the rest is read and dropped"
    await turn()
    assert inflight.held == 100_000


async def test_a_refused_body_counts_no_more_while_its_rest_is_dropped(inflight: InflightBytes) -> None:
    held = []

    class Watched(Client):
        async def receive(self) -> dict[str, Any]:
            held.append(inflight.held)
            return await super().receive()

    with pytest.raises(PayloadTooLargeError):
        await asyncio.create_task(Bodies(inflight).read(Watched(CHUNK, CHUNK, CHUNK, b"").receive, 150_000))
    assert held == [0, 100_000, 0, 0]


async def test_a_client_that_leaves_holds_nothing(inflight: InflightBytes) -> None:
    with pytest.raises(ClientGoneError):
        await asyncio.create_task(Bodies(inflight).read(Client(CHUNK, None).receive, 1_000_000))
    await turn()
    assert inflight.held == 0


async def test_short_bodies_do_not_count_and_are_let_in_always(inflight: InflightBytes) -> None:
    inflight.take(300_000)
    assert await Bodies(inflight).read(Client(b"short").receive, 1_000_000) == b"short"


async def test_what_a_body_inflates_to_counts_too(inflight: InflightBytes) -> None:
    scope = {"headers": [(b"content-encoding", b"gzip")]}
    for size, refused in ((200_000, False), (400_000, True)):
        client = Client(gzip.compress(bytes(size)))
        reading = asyncio.create_task(Bodies(inflight).read_content(scope, client.receive, 1_000_000))
        if refused:
            with pytest.raises(OverloadedError):
                await reading
        else:
            assert len(await reading) == size
    with pytest.raises(InvalidInputError):
        await Bodies(inflight).read_content(scope, Client(b"no gzip").receive, 1_000_000)


async def test_a_hold_that_is_closed_gives_nothing_back_twice(inflight: InflightBytes) -> None:
    hold = Hold(inflight)
    hold.take(10)
    hold.close()
    hold.give_back(10)
    assert inflight.held == 0


async def stream_status(inflight: InflightBytes, *chunks: bytes | None) -> bytes:
    """How a stream of these chunks ends that answers each message with itself."""
    sent: list[dict[str, Any]] = []

    async def echo(messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for message in messages:
            assert inflight.held < 200_000, "what the handler has counts no more"
            yield message

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {"type": "http", "path": "/a.B/C", "headers": []}
    await serve_stream(scope, Client(*chunks).receive, send, Stream(echo), Hold(inflight), 1_000_000)
    headers = dict(pair for event in sent for pair in event.get("headers", ()))
    status: bytes = headers[b"grpc-status"]
    return status


async def test_a_stream_counts_what_its_handler_does_not_have_yet(inflight: InflightBytes) -> None:
    frame = encode_message(CHUNK)
    assert await stream_status(inflight, *[frame] * 20, b"") == b"0"
    assert await stream_status(inflight, encode_message(bytes(400_000))[:350_000], b"") == b"8"
    assert inflight.held == 0
