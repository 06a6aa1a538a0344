"""Calls of gRPC-Web as the application sees them, whose text may be cut anywhere."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.grpc_web import GrpcWebCall, is_grpc_web, trailers_frame

TEXT = b"application/grpc-web-text+proto"


async def received(pieces: list[bytes], content_type: bytes = TEXT) -> bytes:
    """The body that the application receives in these pieces."""
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError

    call = GrpcWebCall({"headers": [(b"content-type", content_type)], "http_version": "1.1"}, receive, send)
    body, more = b"", True
    while more:
        message = await call.receive()
        body, more = body + message["body"], message["more_body"]
    return body


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [(b"application/grpc-web", True), (TEXT, True), (b"application/grpc", False), (b"text/grpc-web", False)],
)
def test_a_call_is_known_by_its_content_type(content_type: bytes, expected: bool) -> None:
    assert is_grpc_web(content_type) is expected


@given(st.lists(st.binary(max_size=20), max_size=4), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_a_body_of_several_texts_may_be_cut_anywhere(messages: list[bytes], sizes: list[int]) -> None:
    text = b"".join(map(base64.b64encode, messages))
    pieces, at = [], 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    assert asyncio.run(received(pieces)) == b"".join(messages)


async def test_another_body_is_left_as_it_is() -> None:
    assert await received([b"QUJD", b"\0"], b"application/grpc-web") == b"QUJD\0"


@pytest.mark.parametrize("text", [b"QU*D", b"====", b"Q=JD", b"\xff\xff\xff\xff"])
async def test_a_body_that_is_no_base64_ends_as_if_it_were_cut_short(text: bytes) -> None:
    assert await received([b"QUJD", text, b"QUJD"]) == b"ABC"


async def test_a_client_that_leaves_is_passed_on() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError

    call = GrpcWebCall({"headers": [(b"content-type", TEXT)]}, receive, send)
    assert await call.receive() == {"type": "http.disconnect"}


def test_trailers_are_a_frame_of_the_body() -> None:
    content = b"grpc-status:0\r\ngrpc-message:\r\n"
    frame = trailers_frame([(b"grpc-status", b"0"), (b"grpc-message", b"")])
    assert frame == b"\x80\0\0\0" + bytes([len(content)]) + content
