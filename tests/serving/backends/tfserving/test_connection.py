"""One HTTP/2 connection: calls, frames, and what servers do to them."""

from __future__ import annotations

import asyncio

import pytest

from serving.backends.tfserving.channel import Channel
from serving.wire import http2 as frames
from serving.wire.grpc_codes import (
    CANCELLED,
    DEADLINE_EXCEEDED,
    INTERNAL,
    NOT_FOUND,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    UNKNOWN,
)
from serving.wire.http2 import frame_head, number_frame, settings_frame
from tests.support.http2_calls import METHOD, asking, failure, greeted
from tests.support.http2_server import Http2Server, block, headers

RESPONSE = {":status": "200", "content-type": "application/grpc"}


async def test_a_call_is_a_grpc_request_and_its_answer_the_message(server: Http2Server, channel: Channel) -> None:
    call = asking(channel, timeout_s=90.0)
    peer = await greeted(server)
    stream = await peer.request()
    request = peer.requests[stream]
    timeout = request.fields.pop(b"grpc-timeout")
    assert 0 < int(timeout.removesuffix(b"m")) <= 90_000
    assert request.fields == {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": METHOD.encode(),
        b":authority": server.address.encode(),
        b"te": b"trailers",
        b"content-type": b"application/grpc",
        b"user-agent": b"grpc-atelier",
    }
    assert request.body == b"\0\0\0\0\x08question"
    peer.answer(stream, b"answer")
    assert await call == b"answer"


async def test_calls_share_a_connection_and_are_answered_in_any_order(server: Http2Server, channel: Channel) -> None:
    calls = [asking(channel, b"%d" % number) for number in range(3)]
    peer = await greeted(server)
    streams = [await peer.request() for _ in calls]
    for stream in reversed(streams):
        peer.answer(stream, b"to " + peer.requests[stream].body[5:])
    assert await asyncio.gather(*calls) == [b"to 0", b"to 1", b"to 2"]


async def test_a_header_block_may_come_in_parts_with_padding_and_priority(
    server: Http2Server, channel: Channel
) -> None:
    call = asking(channel)
    peer = await greeted(server)
    stream = await peer.request()
    content = block(RESPONSE)
    padded = b"\x03\0\0\0\0\x10" + content[:4] + b"\0\0\0"
    peer.send(frame_head(frames.HEADERS, 0x28, stream, len(padded)) + padded)
    peer.send(frame_head(frames.CONTINUATION, 0, stream, 3) + content[4:7])
    peer.send(frame_head(frames.CONTINUATION, frames.END_HEADERS, stream, len(content) - 7) + content[7:])
    for piece in (b"\0\0\0", b"\0\x04an", b"", b"sw"):
        peer.send(frame_head(frames.DATA, 0, stream, len(piece)) + piece)
    peer.send(headers(stream, {"grpc-status": "0"}, ends=True))
    assert await call == b"answ"


async def test_a_ping_is_answered_with_what_it_says(server: Http2Server, channel: Channel) -> None:
    call = asking(channel)
    peer = await greeted(server)
    stream = await peer.request()
    peer.send(frame_head(frames.PING, 0, 0, 8) + b"12345678")
    pong = await peer.frame(frames.PING)
    assert (pong.flags, pong.payload) == (frames.ACK, b"12345678")
    peer.answer(stream, b"")
    assert await call == b""


async def test_no_more_is_sent_than_the_server_takes(server: Http2Server, channel: Channel) -> None:
    message = bytes(range(256)) * 400  # 102,400 bytes; the connection takes 65,535, the stream 10
    call = asking(channel, message)
    peer = await greeted(server, {frames.INITIAL_WINDOW_SIZE: 10})
    assert len((await peer.frame(frames.DATA)).payload) == 10
    (stream,) = peer.requests
    peer.send(number_frame(frames.WINDOW_UPDATE, stream, 5))
    assert len((await peer.frame(frames.DATA)).payload) == 5
    peer.send(settings_frame({frames.INITIAL_WINDOW_SIZE: 30, frames.MAX_FRAME_SIZE: 20_000}))
    assert len((await peer.frame(frames.DATA)).payload) == 20
    peer.send(number_frame(frames.WINDOW_UPDATE, stream, 200_000))
    while len(peer.requests[stream].body) < 65_535:
        assert len((await peer.frame(frames.DATA)).payload) <= 20_000
    assert len(peer.requests[stream].body) == 65_535
    peer.send(number_frame(frames.WINDOW_UPDATE, 0, 200_000))
    assert await peer.request() == stream
    assert peer.requests[stream].body[5:] == message
    peer.answer(stream, b"answer")
    assert await call == b"answer"


async def test_a_call_that_the_server_takes_no_more_of_holds_up_no_other(server: Http2Server, channel: Channel) -> None:
    large = asking(channel, bytes(1000))
    peer = await greeted(server, {frames.INITIAL_WINDOW_SIZE: 100})
    await peer.frame(frames.DATA)
    small = asking(channel, b"small")
    stream = await peer.request()
    peer.answer(stream, b"answer")
    assert await small == b"answer"
    large.cancel()
    reset = await peer.frame(frames.RST_STREAM)
    assert reset.stream == min(peer.requests)


async def test_answers_of_any_size_come_because_the_server_is_told_that_they_were_read(
    server: Http2Server, channel: Channel
) -> None:
    call = asking(channel)
    peer = await greeted(server)
    stream = await peer.request()
    size = 40 * 2**20
    peer.send(headers(stream, RESPONSE))
    piece = bytes(frames.DEFAULT_FRAME_BYTES)
    peer.send(frame_head(frames.DATA, 0, stream, 5) + b"\0" + size.to_bytes(4, "big"))
    for _ in range(size // len(piece)):
        peer.send(frame_head(frames.DATA, 0, stream, len(piece)) + piece)
    peer.send(headers(stream, {"grpc-status": "0"}, ends=True))
    assert len(await call) == size
    updates = [await peer.frame(frames.WINDOW_UPDATE) for _ in range(2)]
    assert [update.stream for update in updates] == [0, 0]


async def test_no_more_calls_are_on_their_way_than_the_server_wants(server: Http2Server, channel: Channel) -> None:
    first = asking(channel, b"1")
    peer = await greeted(server, {frames.MAX_CONCURRENT_STREAMS: 1})
    stream = await peer.request()
    second, late = asking(channel, b"2"), asking(channel, b"3", timeout_s=0.05)
    assert (await failure(late)).code == DEADLINE_EXCEEDED
    assert set(peer.requests) == {stream}
    peer.answer(stream, b"answer")
    assert await first == b"answer"
    stream = await peer.request()
    assert peer.requests[stream].body[5:] == b"2"
    peer.answer(stream, b"answer")
    assert await second == b"answer"


async def test_a_server_that_goes_away_answers_what_it_has_taken_and_the_next_call_is_asked_anew(
    server: Http2Server, channel: Channel
) -> None:
    taken, lost = asking(channel), asking(channel)
    peer = await greeted(server)
    streams = [await peer.request(), await peer.request()]
    peer.send(frame_head(frames.GOAWAY, 0, 0, 8) + streams[0].to_bytes(4, "big") + bytes(4))
    error = await failure(lost)
    assert (error.code, str(error)) == (UNAVAILABLE, f"{server.address}: the server goes away")
    following = asking(channel)
    successor = await greeted(server)
    successor.answer(await successor.request(), b"new")
    assert await following == b"new"
    peer.answer(streams[0], b"old")
    assert await taken == b"old"
    await peer.until_closed()


@pytest.mark.parametrize(
    ("error_code", "code"),
    [
        (frames.REFUSED_STREAM, UNAVAILABLE),
        (frames.CANCEL, CANCELLED),
        (frames.ENHANCE_YOUR_CALM, RESOURCE_EXHAUSTED),
        (frames.NO_ERROR, INTERNAL),
    ],
)
async def test_a_stream_that_the_server_resets_says_why(
    server: Http2Server, channel: Channel, error_code: int, code: int
) -> None:
    call, other = asking(channel), asking(channel)
    peer = await greeted(server)
    stream, other_stream = await peer.request(), await peer.request()
    peer.send(number_frame(frames.RST_STREAM, stream, error_code))
    assert (await failure(call)).code == code
    peer.answer(other_stream, b"answer")
    assert await other == b"answer"


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        (
            {":status": "200", "grpc-status": "5", "grpc-message": "no%20such 100%25 %C3%A9"},
            NOT_FOUND,
            "no such 100% é",
        ),
        ({":status": "200", "grpc-status": "8"}, RESOURCE_EXHAUSTED, "status 8 without a message"),
        ({":status": "200", "grpc-status": "many"}, UNKNOWN, "status 2 without a message"),
        ({":status": "503"}, UNAVAILABLE, "an answer without grpc-status, HTTP status 503"),
        ({":status": "403"}, PERMISSION_DENIED, "an answer without grpc-status, HTTP status 403"),
        ({":status": "200"}, UNKNOWN, "an answer without grpc-status, HTTP status 200"),
        ({":status": "200", "grpc-status": "0"}, INTERNAL, "expected one message that is not compressed, received 0"),
    ],
)
async def test_an_answer_of_one_header_is_a_failure(
    server: Http2Server, channel: Channel, fields: dict[str, str], code: int, text: str
) -> None:
    call = asking(channel)
    peer = await greeted(server)
    peer.send(headers(await peer.request(), fields, ends=True))
    error = await failure(call)
    assert error.code == code
    assert error.text.startswith(text)


@pytest.mark.parametrize("body", [b"\x01\0\0\0\x01x", b"\0\0\0\0\x02x", b"\0\0"], ids=["compressed", "cut", "no frame"])
async def test_a_message_that_is_not_whole_is_a_failure(server: Http2Server, channel: Channel, body: bytes) -> None:
    call = asking(channel)
    peer = await greeted(server)
    stream = await peer.request()
    peer.send(headers(stream, RESPONSE) + frame_head(frames.DATA, 0, stream, len(body)) + body)
    peer.send(headers(stream, {"grpc-status": "0"}, ends=True))
    assert (await failure(call)).code == INTERNAL


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n",
        frame_head(frames.HEADERS, frames.END_HEADERS, 1, 1) + b"\xbe",
        frame_head(frames.PUSH_PROMISE, 0, 1, 0),
        frame_head(frames.CONTINUATION, 0, 1, 0),
        frame_head(frames.HEADERS, 0, 1, 0) + frame_head(frames.DATA, 0, 1, 0),
        frame_head(frames.HEADERS, 0, 1, 0) + 5 * (frame_head(frames.CONTINUATION, 0, 1, 16_384) + bytes(16_384)),
        frame_head(frames.SETTINGS, 0, 0, 5) + bytes(5),
        frame_head(frames.RST_STREAM, 0, 1, 1) + bytes(1),
    ],
    ids=["HTTP/1", "a table", "a push", "no block", "a block cut short", "an endless block", "settings", "a reset"],
)
async def test_a_server_that_breaks_the_protocol_is_left(server: Http2Server, channel: Channel, said: bytes) -> None:
    call = asking(channel)
    peer = await greeted(server)
    await peer.request()
    peer.send(said)
    assert (await failure(call)).code == UNAVAILABLE
    await peer.until_closed()


async def test_who_expects_no_answer_any_more_tells_the_server(server: Http2Server, channel: Channel) -> None:
    cancelled = asking(channel)
    peer = await greeted(server)
    streams = [await peer.request()]
    expiring = asking(channel, timeout_s=0.05)
    streams.append(await peer.request())
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert (await failure(expiring)).code == DEADLINE_EXCEEDED
    for _ in streams:
        reset = await peer.frame(frames.RST_STREAM)
        assert frames.decode_number(reset.payload) == frames.CANCEL
        peer.answer(reset.stream, b"too late for anybody")
    following = asking(channel)
    peer.answer(await peer.request(), b"answer")
    assert await following == b"answer"


async def test_an_answer_before_the_whole_request_ends_the_request(server: Http2Server, channel: Channel) -> None:
    call = asking(channel, bytes(1000))
    peer = await greeted(server, {frames.INITIAL_WINDOW_SIZE: 10})
    stream = (await peer.frame(frames.DATA)).stream
    peer.send(headers(stream, {":status": "200", "grpc-status": "5", "grpc-message": "gone"}, ends=True))
    assert (await failure(call)).code == NOT_FOUND
    assert (await peer.frame(frames.RST_STREAM)).stream == stream
