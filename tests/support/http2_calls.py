"""Calls to a scripted HTTP/2 server, for the tests of the client to TensorFlow Serving."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from serving.backends.tfserving.channel import Channel
from serving.backends.tfserving.failures import RpcError
from tests.support.http2_server import Http2Server, Peer

METHOD = "/some.Service/Method"
LONG_S = 120.0


@contextlib.asynccontextmanager
async def channel_to(address: str) -> AsyncIterator[Channel]:
    channel = Channel(address)
    try:
        yield channel
    finally:
        await channel.close()


def asking(channel: Channel, message: bytes = b"question", timeout_s: float = LONG_S) -> asyncio.Task[bytes]:
    return asyncio.create_task(channel.call(METHOD, message, timeout_s))


async def greeted(server: Http2Server, settings: dict[int, int] | None = None) -> Peer:
    peer = await server.peer()
    await peer.greet(settings)
    return peer


async def failure(call: asyncio.Task[bytes]) -> RpcError:
    with pytest.raises(RpcError) as caught:
        await call
    return caught.value
