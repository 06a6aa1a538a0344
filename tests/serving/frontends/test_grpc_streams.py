"""Streaming calls as ASGI events, without a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from serving.frontends.bodies import Hold, InflightBytes
from serving.frontends.grpc_streams import Stream, serve_stream
from serving.wire.grpc_framing import encode_message


@pytest.mark.parametrize("answers", [0, 1, 3])
async def test_a_client_that_leaves_while_it_is_answered_is_no_failure(
    answers: int, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [encode_message(b"")]
    sent: list[Any] = []

    async def count(messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for _ in messages:
            for number in range(100):
                yield bytes([number])

    async def receive() -> dict[str, Any]:
        if asked:
            return {"type": "http.request", "body": asked.pop(), "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(event: Any) -> None:
        if len(sent) == 2 + answers:  # behind the headers and the empty body that begin an answer
            raise ConnectionResetError
        sent.append(event)

    scope = {"type": "http", "path": "/a.B/C", "headers": []}
    with caplog.at_level(logging.INFO):
        await serve_stream(scope, receive, send, Stream(count), Hold(InflightBytes(1000)), 1000)
    assert [event["body"] for event in sent[2:]] == [encode_message(bytes([number])) for number in range(answers)]
    assert caplog.messages == []
