"""One unary call as ASGI events, without a server."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from serving.batching.terms import Terms
from serving.errors import OverloadedError
from serving.frontends.bodies import Bodies, InflightBytes
from serving.frontends.grpc_transport import OVERLOAD_CODE, UnaryCalls
from serving.frontends.request_terms import TermsReader
from serving.wire.compression import ENCODINGS, deflate
from serving.wire.grpc_framing import encode_message

LONG = b"answer " * 1000


async def call(
    answer: Callable[[bytes, Terms], Awaitable[bytes]], message: bytes = b"", overload_code: int = 8, **headers: str
) -> list[dict[str, Any]]:
    """What is sent for a call with these headers, `_` standing for `-`."""
    sent: list[dict[str, Any]] = []
    named = {"content_type": "application/grpc", **headers}
    scope = {
        "type": "http",
        "http_version": "2",
        "path": "/a.B/C",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": encode_message(message, headers.get("grpc_encoding", ""))}

    async def send(event: Any) -> None:
        sent.append(event)

    calls = UnaryCalls(1_000_000, Bodies(InflightBytes(1_000_000)), TermsReader(""), overload_code)
    await calls.serve(scope, receive, send, answer)
    return sent


async def long_answer(message: bytes, terms: Terms) -> bytes:
    return message or LONG


async def test_a_large_answer_is_one_frame_and_is_not_copied() -> None:
    answer = bytes(1024 * 1024 + 1)

    async def large_answer(message: bytes, terms: Terms) -> bytes:
        return answer

    _, head, body, _ = await call(large_answer)
    assert head["body"] + body["body"] == encode_message(answer)
    assert (head["more_body"], body["more_body"]) == (True, False)
    assert body["body"] is answer


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_who_compresses_is_answered_alike(encoding: str) -> None:
    start, body, trailers = await call(
        long_answer, LONG, grpc_encoding=encoding, grpc_accept_encoding=f"identity, {encoding}"
    )

    assert dict(start["headers"])[b"grpc-encoding"] == encoding.encode()
    assert body["body"][0] == 1
    assert zlib.decompress(body["body"][5:], ENCODINGS[encoding]) == LONG
    assert int.from_bytes(body["body"][1:5], "big") == len(body["body"]) - 5 == len(deflate(LONG, encoding))
    assert trailers["headers"] == ((b"grpc-status", b"0"),)


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


@pytest.mark.parametrize(("setting", "code"), [("resource-exhausted", b"8"), ("unavailable", b"14")])
async def test_an_overloaded_server_says_when_to_come_back(setting: str, code: bytes) -> None:
    async def refuse(message: bytes, terms: Terms) -> bytes:
        raise OverloadedError("the queue is full", retry_after_s=0.0125)

    start, _ = await call(refuse, overload_code=OVERLOAD_CODE[setting])
    assert dict(start["headers"])[b"grpc-status"] == code
    assert dict(start["headers"])[b"grpc-retry-pushback-ms"] == b"13"


async def test_a_message_that_is_there_as_a_whole_is_no_longer_than_others_may_be() -> None:
    calls = UnaryCalls(100, Bodies(InflightBytes(1000)), TermsReader(""), 8)
    for size, is_answered in ((100, True), (101, False)):
        answer = await calls.serve_whole({"path": "/a.B/C", "headers": []}, encode_message(bytes(size)), long_answer)
        assert (answer.trailers == ((b"grpc-status", b"0"),)) is is_answered
        assert (b"grpc-status", b"8") in answer.headers or is_answered
