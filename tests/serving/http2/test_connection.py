"""One HTTP/2 connection: calls, frames, and what clients do to them."""

from __future__ import annotations

import logging
from typing import Any

import hpack
import pytest

from serving.wire import http2 as frames
from serving.wire.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    decode_number,
    decode_settings,
    number_frame,
    settings_frame,
)
from tests.serving.http.stand import Echo, Slow
from tests.serving.http2.stand import GRPC, USUAL, WHO, Client, block, data, frame, headers
from tests.serving.http2.stand import request as whole_request

PADDED, WITH_PRIORITY = 0x8, 0x20
OK = frame(HEADERS, END_HEADERS, 3, block(USUAL))


async def test_a_server_says_first_what_it_takes() -> None:
    settings, window = await Client(Echo()).heard()
    assert (settings.kind, settings.stream) == (SETTINGS, 0)
    assert decode_settings(settings.payload) == {frames.MAX_CONCURRENT_STREAMS: 128, frames.INITIAL_WINDOW_SIZE: 2**20}
    assert (window.kind, decode_number(window.payload)) == (WINDOW_UPDATE, 16 * 2**20 - 65_535)


async def test_a_call_that_is_there_as_a_whole_is_answered_as_a_whole() -> None:
    app = Echo()
    client = Client(app)
    client.say(whole_request(1, b"question", GRPC))
    answer = await client.answer(1)
    assert app.whole == [b"question"]
    assert answer.headers == [(b":status", b"200"), (b"content-type", b"application/grpc")]
    assert (answer.body, answer.trailers) == (b"question", [(b"grpc-status", b"0")])
    assert (answer.is_whole, answer.reset) == (True, None)


async def test_a_call_that_is_not_there_yet_is_received_piece_by_piece() -> None:
    app = Echo()
    client = Client(app)
    client.say(headers(1, GRPC), data(1, b"que"))
    assert not (await client.answer(1)).headers
    client.say(data(1, b"stion"), data(1, b"", ends=True))
    assert (await client.answer(1)).body == b"question"
    assert (app.bodies, app.whole) == ([b"question"], [])


async def test_a_request_that_is_no_call_is_received() -> None:
    app = Echo()
    client = Client(app)
    client.say(whole_request(1, b"question"))
    answer = await client.answer(1)
    assert (answer.status, answer.body, answer.is_whole) == (b"200", b"question", True)
    assert app.whole == []


async def test_requests_are_answered_in_any_order() -> None:
    first, second = Slow(), Echo()

    class Both(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await (first if scope["path"] == "/1" else second)(scope, receive, send)

    client = Client(Both())
    client.say(headers(1, {**USUAL, ":path": "/1"}), whole_request(3, b"b"), data(1, b"a", ends=True))
    assert (await client.answer(3)).body == b"b"
    assert not (await client.answer(1)).headers
    first.may_answer.set()
    assert (await client.answer(1)).body == b"a"


async def test_the_body_of_an_answer_to_head_is_left_out() -> None:
    client = Client(Echo())
    client.say(headers(1, {**USUAL, ":method": "HEAD"}), data(1, b"text", ends=True))
    answer = await client.answer(1)
    assert (answer.status, answer.body, answer.is_whole) == (b"200", b"", True)


async def test_the_application_is_told_who_the_client_is() -> None:
    app = Echo()
    client = Client(app)
    client.say(whole_request(1))
    await client.answer(1)
    assert app.scopes[0]["client"] == WHO


async def test_a_conversation_may_come_byte_by_byte() -> None:
    client = Client(Echo())
    for byte in whole_request(1, b"x"):
        client.say(bytes([byte]))
    assert (await client.answer(1)).body == b"x"


async def test_an_expectation_is_answered_before_the_body() -> None:
    client = Client(Echo())
    client.say(headers(1, {**USUAL, "expect": "100-continue"}))
    (first,) = await client.heard(HEADERS)
    assert [tuple(one) for one in hpack.Decoder().decode(first.payload)] == [(":status", "100")]
    client.say(data(1, b"body", ends=True))
    assert (await client.answer(1)).body == b"body"


async def test_a_header_block_may_come_in_parts_with_padding_and_priority() -> None:
    client = Client(Echo())
    content = block(USUAL)
    padded = b"\x03\0\0\0\0\x10" + content[:4] + b"\0\0\0"
    client.say(frame(HEADERS, PADDED | WITH_PRIORITY, 1, padded))
    client.say(frame(CONTINUATION, 0, 1, content[4:7]), frame(CONTINUATION, END_HEADERS, 1, content[7:]))
    client.say(frame(DATA, PADDED, 1, b"\x02an\0\0"), data(1, b""), frame(DATA, PADDED | END_STREAM, 1, b"\0swer"))
    assert (await client.answer(1)).body == b"answer"


async def test_trailers_of_a_request_end_it() -> None:
    client = Client(Echo())
    client.say(headers(1), data(1, b"body"), headers(1, {"x-checksum": "7"}, ends=True))
    assert (await client.answer(1)).body == b"body"


async def test_frames_of_kinds_and_flags_that_nobody_knows_mean_nothing() -> None:
    client = Client(Echo())
    client.say(frame(0xEE, 0xFF, 5, b"what"), frame(HEADERS, 0xC0 | END_HEADERS | END_STREAM, 1, block(USUAL)))
    assert (await client.answer(1)).status == b"200"
    assert not client.transport.is_over


async def test_pings_and_settings_are_answered() -> None:
    client = Client(Echo())
    client.set({frames.ENABLE_PUSH: 0, 0xAAAA: 7})
    client.say(frame(PING, 0, 0, b"12345678"), frame(PING, frames.ACK, 0, b"unasked!"), frame(SETTINGS, frames.ACK, 0))
    answers = [(one.kind, one.flags, one.payload) for one in (await client.heard())[2:]]
    assert answers == [(SETTINGS, frames.ACK, b""), (PING, frames.ACK, b"12345678")]


async def test_a_request_that_is_cancelled_where_it_was_made_never_reaches_the_application() -> None:
    app = Echo()
    client = Client(app)
    client.say(whole_request(1, b"x", GRPC), number_frame(RST_STREAM, 1, frames.CANCEL), whole_request(3, b"y", GRPC))
    assert (await client.answer(3)).body == b"y"
    assert app.bodies == [b"y"]


@pytest.mark.parametrize("fields", [GRPC, USUAL], ids=["whole", "received"])
@pytest.mark.parametrize("goes", ["stream", "connection"])
async def test_an_application_whose_client_leaves_is_told(fields: dict[str, str], goes: str) -> None:
    app = Slow()
    client = Client(app)
    client.say(headers(1, fields), data(1, b"x", ends=fields is GRPC))
    await client.heard()
    if goes == "stream":
        client.say(number_frame(RST_STREAM, 1, frames.CANCEL))
    else:
        client.end()
        assert client.lost == [client.connection]
    assert await client.heard() == []
    assert app.left == 1


async def test_no_more_streams_are_open_than_was_said() -> None:
    app = Slow()
    client = Client(app)
    client.say(*(whole_request(2 * number + 1, b"x", GRPC) for number in range(130)))
    resets = await client.heard(RST_STREAM)
    assert [(one.stream, decode_number(one.payload)) for one in resets] == [
        (257, frames.REFUSED_STREAM),
        (259, frames.REFUSED_STREAM),
    ]
    app.may_answer.set()
    assert (await client.answer(255)).is_whole
    client.say(whole_request(261, b"y", GRPC))
    assert (await client.answer(261)).body == b"y"


@pytest.mark.parametrize("fields", [GRPC, USUAL], ids=["whole", "received"])
async def test_an_application_that_fails_is_reported_and_its_stream_reset(
    fields: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Echo):
        async def wait(self) -> None:
            raise ValueError("a fault of the application")

    client = Client(Failing())
    with caplog.at_level(logging.ERROR):
        client.say(whole_request(1, b"x", fields))
        assert (await client.answer(1)).reset == frames.INTERNAL_ERROR
    assert "a fault of the application" in caplog.text
    client.say(frame(PING, 0, 0, b"12345678"))
    assert len(await client.heard(PING)) == 1


async def test_an_answer_before_the_whole_request_ends_the_request() -> None:
    class Hasty(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 429, "headers": []})
            await send({"type": "http.response.body", "body": b"later"})

    client = Client(Hasty())
    client.say(headers(1), data(1, b"begin"))
    answer = await client.answer(1)
    assert (answer.status, answer.body, answer.is_whole, answer.reset) == (b"429", b"later", True, frames.NO_ERROR)
    client.say(data(1, b"on its way"), data(1, b"too", ends=True))
    assert await client.heard() == []


async def test_who_asks_for_more_after_the_answer_hears_that_nothing_comes() -> None:
    class Curious(Echo):
        heard: Any = None

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 429, "headers": []})
            await send({"type": "http.response.body", "body": b"later"})
            self.heard = await receive()

    app = Curious()
    client = Client(app)
    client.say(headers(1))
    await client.answer(1)
    client.end()
    await client.heard()
    assert app.heard == {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param(frame(HEADERS, END_HEADERS, 1, b"\xbe"), frames.COMPRESSION_ERROR, id="a table that is empty"),
        pytest.param(frame(HEADERS, END_HEADERS, 2, block(USUAL)), frames.PROTOCOL_ERROR, id="an even stream"),
        pytest.param(frame(HEADERS, END_HEADERS, 0, block(USUAL)), frames.PROTOCOL_ERROR, id="headers of no stream"),
        pytest.param(frame(HEADERS, 0, 1) + data(1, b""), frames.PROTOCOL_ERROR, id="a block cut short"),
        pytest.param(frame(HEADERS, 0, 1) + headers(3), frames.PROTOCOL_ERROR, id="a block inside a block"),
        pytest.param(frame(HEADERS, 0, 1) + frame(CONTINUATION, 4, 3), frames.PROTOCOL_ERROR, id="another's block"),
        pytest.param(frame(CONTINUATION, 4, 1), frames.PROTOCOL_ERROR, id="no block"),
        pytest.param(
            frame(HEADERS, 0, 1) + 5 * frame(CONTINUATION, 0, 1, bytes(16_384)),
            frames.ENHANCE_YOUR_CALM,
            id="an endless block",
        ),
        pytest.param(frame(HEADERS, 0x8 | END_HEADERS, 1, b"\x05"), frames.PROTOCOL_ERROR, id="padded headers"),
        pytest.param(OK + frame(DATA, 0x8, 3, b"\x09abc"), frames.PROTOCOL_ERROR, id="more padding than content"),
        pytest.param(data(1, b"x"), frames.PROTOCOL_ERROR, id="data of a stream that was not opened"),
        pytest.param(data(0, b"x"), frames.PROTOCOL_ERROR, id="data of no stream"),
        pytest.param(number_frame(RST_STREAM, 1, 8), frames.PROTOCOL_ERROR, id="reset of a stream not opened"),
        pytest.param(number_frame(RST_STREAM, 0, 8), frames.PROTOCOL_ERROR, id="reset of no stream"),
        pytest.param(OK + frame(RST_STREAM, 0, 3, b"\0" * 3), frames.FRAME_SIZE_ERROR, id="a short reset"),
        pytest.param(frame(PRIORITY, 0, 0, bytes(5)), frames.PROTOCOL_ERROR, id="priority of no stream"),
        pytest.param(frame(PUSH_PROMISE, 4, 1, bytes(4)), frames.PROTOCOL_ERROR, id="a push"),
        pytest.param(frame(PING, 0, 0, b"short"), frames.FRAME_SIZE_ERROR, id="a short ping"),
        pytest.param(frame(PING, 0, 1, b"12345678"), frames.PROTOCOL_ERROR, id="a stream's ping"),
        pytest.param(frame(SETTINGS, 0, 0, bytes(5)), frames.FRAME_SIZE_ERROR, id="settings that are none"),
        pytest.param(frame(SETTINGS, 0, 1), frames.PROTOCOL_ERROR, id="a stream's settings"),
        pytest.param(frame(SETTINGS, frames.ACK, 0, bytes(6)), frames.FRAME_SIZE_ERROR, id="settings in an ACK"),
        pytest.param(settings_frame({frames.ENABLE_PUSH: 2}), frames.PROTOCOL_ERROR, id="a push of 2"),
        pytest.param(settings_frame({frames.MAX_FRAME_SIZE: 16_383}), frames.PROTOCOL_ERROR, id="small frames"),
        pytest.param(settings_frame({frames.MAX_FRAME_SIZE: 2**24}), frames.PROTOCOL_ERROR, id="large frames"),
        pytest.param(settings_frame({frames.INITIAL_WINDOW_SIZE: 2**31}), frames.FLOW_CONTROL_ERROR, id="a window"),
        pytest.param(frame(GOAWAY, 0, 1, bytes(8)), frames.PROTOCOL_ERROR, id="a stream's goodbye"),
        pytest.param(frame(WINDOW_UPDATE, 0, 0, b"\0" * 3), frames.FRAME_SIZE_ERROR, id="a short credit"),
        pytest.param(b"\0\x40\x01\0\0\0\0\0\x01", frames.FRAME_SIZE_ERROR, id="a frame larger than agreed"),
    ],
)
async def test_who_breaks_the_protocol_is_told_and_left(said: bytes, code: int) -> None:
    client = Client(Slow())
    client.say(said)
    assert (await client.goaway())[1] == code
    assert client.transport.is_over
    client.say(whole_request(9, b"x", GRPC))
    assert await client.heard() == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param(whole_request(1, b"x") + data(1, b"y"), frames.STREAM_CLOSED, id="data after the end"),
        pytest.param(whole_request(1, b"x") + headers(1, ends=True), frames.STREAM_CLOSED, id="headers after the end"),
        pytest.param(headers(1) + headers(1), frames.PROTOCOL_ERROR, id="headers in the middle"),
        pytest.param(headers(1) + headers(1, {":path": "/"}, ends=True), frames.PROTOCOL_ERROR, id="a path at the end"),
        pytest.param(headers(1) + headers(1, {"Upper": "1"}, ends=True), frames.PROTOCOL_ERROR, id="odd trailers"),
        pytest.param(whole_request(1) + frame(PRIORITY, 0, 1, bytes(4)), frames.FRAME_SIZE_ERROR, id="priority"),
        pytest.param(headers(1, {**USUAL, "content-length": "3"}) + data(1, b"abcd"), 1, id="more than announced"),
        pytest.param(
            headers(1, {**USUAL, "content-length": "3"}) + data(1, b"ab", ends=True), 1, id="less than announced"
        ),
        pytest.param(headers(1, {**USUAL, "content-length": "3"}, ends=True), 1, id="nothing of what was announced"),
    ],
)
async def test_a_stream_that_breaks_the_protocol_is_reset_and_others_go_on(said: bytes, code: int) -> None:
    app = Slow()
    client = Client(app)
    client.say(said)
    assert (await client.answer(1)).reset == code
    app.may_answer.set()
    client.say(whole_request(3, b"x"))
    assert (await client.answer(3)).body == b"x"
    assert not client.answers[1].headers


async def test_an_announced_length_that_is_kept_to_is_answered() -> None:
    client = Client(Echo())
    client.say(headers(1, {**USUAL, "content-length": "4"}), data(1, b"ab"), data(1, b"cd", ends=True))
    assert (await client.answer(1)).body == b"abcd"


async def test_requests_before_a_fault_are_named_by_the_goodbye() -> None:
    client = Client(Slow())
    client.say(whole_request(1, b"x", GRPC), whole_request(7, b"x", GRPC), frame(CONTINUATION, 4, 1))
    assert await client.goaway() == (7, frames.PROTOCOL_ERROR)
