"""One unary call as ASGI events, without a server."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from serving.errors import OverloadedError
from serving.frontends.departures import Departures
from serving.frontends.grpc_transport import serve_unary
from serving.wire.compression import ENCODINGS, deflate
from serving.wire.grpc_framing import encode_message

LONG = b"answer " * 1000


async def call(
    answer: Callable[[bytes, float | None], Awaitable[bytes]], message: bytes = b"", **headers: str
) -> list[dict[str, Any]]:
    """What is sent for a call with these headers, `_` standing for `-`."""
    sent: list[dict[str, Any]] = []
    named = {"content_type": "application/grpc", **headers}
    scope = {
        "type": "http",
        "path": "/a.B/C",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": encode_message(message, headers.get("grpc_encoding", ""))}

    async def send(event: Any) -> None:
        sent.append(event)

    await serve_unary(scope, receive, send, answer, 1_000_000, Departures())
    return sent


async def long_answer(message: bytes, deadline: float | None) -> bytes:
    return message or LONG


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_who_compresses_is_answered_alike(encoding: str) -> None:
    start, body, trailers = await call(
        long_answer, LONG, grpc_encoding=encoding, grpc_accept_encoding=f"identity, {encoding}"
    )

    assert dict(start["headers"])[b"grpc-encoding"] == encoding.encode()
    assert body["body"][0] == 1
    assert zlib.decompress(body["body"][5:], ENCODINGS[encoding]) == LONG
    assert int.from_bytes(body["body"][1:5], "big") == len(body["body"]) - 5 == len(deflate(LONG, encoding))
    assert trailers["headers"] == [(b"grpc-status", b"0")]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"grpc_accept_encoding": "gzip"}, id="a client that did not compress"),
        pytest.param({"grpc_encoding": "gzip"}, id="a client that cannot inflate"),
        pytest.param({"grpc_encoding": "gzip", "grpc_accept_encoding": "deflate"}, id="another encoding"),
    ],
)
async def test_others_are_not(headers: dict[str, str]) -> None:
    start, body, _ = await call(long_answer, **headers)

    assert b"grpc-encoding" not in dict(start["headers"])
    assert body["body"] == encode_message(LONG)


async def test_short_answers_are_not_worth_it() -> None:
    _, body, _ = await call(long_answer, b"short", grpc_encoding="gzip", grpc_accept_encoding="gzip")
    assert body["body"] == encode_message(b"short")


async def test_an_overloaded_server_asks_for_a_second() -> None:
    async def refuse(message: bytes, deadline: float | None) -> bytes:
        raise OverloadedError("the queue is full")

    start, _ = await call(refuse)
    assert dict(start["headers"])[b"grpc-status"] == b"8"
    assert dict(start["headers"])[b"grpc-retry-pushback-ms"] == b"1000"
