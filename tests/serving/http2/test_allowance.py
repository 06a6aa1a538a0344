"""What makes work without asking for any: so much of it, and no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from serving.http2.allowance import Allowance
from serving.wire import http2 as frames
from serving.wire.http2 import ACK, CONTINUATION, DATA, END_HEADERS, HEADERS, PING, PRIORITY, SETTINGS, WINDOW_UPDATE
from tests.serving.http.stand import Echo, Sending, Slow
from tests.serving.http2.stand import GRPC, Client, block, data, frame, headers, request

FRAMES = 400


def taken(allowance: Allowance) -> int:
    """How many frames may still come."""
    count = 0
    while allowance.take_frame():
        count += 1
    return count


def test_so_many_frames_may_come_at_once() -> None:
    assert taken(Allowance()) == FRAMES


@pytest.mark.parametrize(
    ("grant", "frames_more"),
    [(Allowance.grant_second, 100), (Allowance.grant_answer, 30), (lambda one: one.grant_bytes(20_480), 10)],
    ids=["a second", "an answer", "20 KiB of an answer"],
)
def test_others_may_come_later(grant: Callable[[Allowance], None], frames_more: int) -> None:
    allowance = Allowance()
    for _ in range(FRAMES):
        allowance.take_frame()
    grant(allowance)
    assert taken(allowance) == frames_more


def test_what_is_not_used_is_not_saved() -> None:
    allowance = Allowance()
    for _ in range(100):
        allowance.grant_second()
    assert taken(allowance) == FRAMES


def test_nearly_half_of_the_calls_may_be_cancelled_at_once() -> None:
    allowance = Allowance()
    allowance.grant_answer()
    for _ in range(1000):
        allowance.grant_answer()
        assert allowance.take_cancelled(0.1)


def test_most_of_the_calls_may_be_cancelled_while_they_are_few() -> None:
    allowance = Allowance()
    assert [allowance.take_cancelled(0.1) for _ in range(500)] == [True] * 499 + [False]


def test_calls_may_be_cancelled_later() -> None:
    allowance = Allowance()
    assert all(allowance.take_cancelled(1.0) for _ in range(2000))


def cancelled(stream: int) -> bytes:
    return frames.number_frame(frames.RST_STREAM, stream, frames.CANCEL)


FLOODS = {
    "settings": frame(SETTINGS, 0, 0),
    "acknowledged settings": frame(SETTINGS, ACK, 0),
    "pings": frame(PING, 0, 0, b"12345678"),
    "pongs": frame(PING, ACK, 0, b"12345678"),
    "priorities": frame(PRIORITY, 0, 1, bytes(5)),
    "window updates": frames.number_frame(WINDOW_UPDATE, 0, 1),
    "empty data": data(7, b""),
    "data of nobody": data(3, b""),
    "unknown kinds": frame(0xEE, 0, 0),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_of_frames_ends_the_connection(name: str) -> None:
    client = Client(Slow())
    flood, counts_as = FLOODS[name], 10 if name == "settings" else 1
    client.say(request(3, b"x", GRPC), cancelled(3), headers(7))
    client.say(flood * ((FRAMES - 10) // counts_as))
    await client.heard()
    assert not client.transport.is_over
    client.say(flood * 20)
    assert (await client.goaway())[1] == frames.ENHANCE_YOUR_CALM
    assert client.transport.is_over


async def test_a_flood_of_continuations_ends_the_connection() -> None:
    client = Client(Slow())
    client.say(frame(HEADERS, 0, 1, b""), frame(CONTINUATION, 0, 1) * 1001)
    assert (await client.goaway())[1] == frames.ENHANCE_YOUR_CALM


async def test_a_flood_of_malformed_requests_ends_the_connection() -> None:
    client = Client(Slow())
    client.say(*(frame(HEADERS, END_HEADERS, 2 * number + 1, b"") for number in range(20)))
    await client.heard()
    assert not client.transport.is_over
    client.say(frame(HEADERS, END_HEADERS, 41, b""))
    assert (await client.goaway())[1] == frames.ENHANCE_YOUR_CALM


async def test_a_flood_of_streams_above_the_limit_ends_the_connection() -> None:
    client = Client(Slow())
    content = block(GRPC)
    client.say(*(frame(HEADERS, END_HEADERS, 2 * number + 1, content) for number in range(1200)))
    assert (await client.goaway())[1] == frames.ENHANCE_YOUR_CALM


async def test_who_makes_calls_only_to_cancel_them_is_left() -> None:
    app = Echo()
    client = Client(app)
    for number in range(600):
        stream = 2 * number + 1
        client.say(request(stream, b"x", GRPC), cancelled(stream))
        if client.transport.is_over:
            break
    assert (number, await client.goaway()) == (499, (999, frames.ENHANCE_YOUR_CALM))
    assert app.scopes == []


async def test_a_client_that_asks_may_send_pings_and_credit_for_ever() -> None:
    client = Client(Echo())
    for number in range(500):
        stream = 2 * number + 1
        client.say(request(stream, b"x", GRPC), frame(PING, 0, 0, b"12345678") * 15)
        client.credit(0, 1)
        assert (await client.answer(stream)).is_whole


async def test_a_client_that_reads_a_large_answer_may_say_so_frame_by_frame() -> None:
    client = Client(Sending(bytes(40 * 2**20)))
    client.say(request(1))
    came = await client.heard(DATA)
    while came:
        for one in came:
            if one.payload:
                client.credit(0, len(one.payload))
                client.credit(1, len(one.payload))
        came = await client.heard(DATA)
    assert client.answers[1].is_whole
    assert not client.transport.is_over
