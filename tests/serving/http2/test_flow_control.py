"""Windows in both directions: no more is sent than the client takes, and it may send on once what it sent was read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from serving.wire import http2 as frames
from serving.wire.http2 import DATA, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, PING, RST_STREAM, WINDOW_UPDATE, decode_number
from tests.serving.http.stand import Echo, Sending, Slow
from tests.serving.http2.stand import GRPC, USUAL, Client, data, frame, headers, request

LARGE = bytes(range(256)) * 1200
"""307,200 bytes."""
MIB = 2**20


def sizes(came: list[frames.Frame]) -> list[int]:
    return [len(one.payload) for one in came]


async def test_no_more_is_sent_than_the_client_takes() -> None:
    client = Client(Echo())
    client.set({INITIAL_WINDOW_SIZE: 10})
    client.say(request(1, LARGE[:16_000], GRPC))
    assert sizes(await client.heard(DATA)) == [10]
    client.credit(1, 5)
    assert sizes(await client.heard(DATA)) == [5]
    client.set({INITIAL_WINDOW_SIZE: 30})
    assert sizes(await client.heard(DATA)) == [20]
    client.set({INITIAL_WINDOW_SIZE: 0})
    client.credit(1, 20)
    assert await client.heard(DATA) == []
    client.credit(1, 20_000)
    answer = await client.answer(1)
    assert (answer.body, answer.trailers, answer.is_whole) == (LARGE[:16_000], [(b"grpc-status", b"0")], True)


@pytest.mark.parametrize("app", [Sending(LARGE), Sending(b"", LARGE[:1], LARGE[1:200_000], LARGE[200_000:])])
async def test_a_large_answer_comes_as_the_connections_window_allows(app: Sending) -> None:
    client = Client(app)
    client.set({INITIAL_WINDOW_SIZE: 2**31 - 1})
    client.say(request(1))
    assert sum(sizes(await client.heard(DATA))) == 65_535
    client.credit(0, 100_000)
    assert sum(sizes(await client.heard(DATA))) == 100_000
    client.credit(0, 1_000_000)
    answer = await client.answer(1)
    assert answer.body == LARGE
    assert answer.is_whole


@pytest.mark.parametrize("settings", [{}, {MAX_FRAME_SIZE: 30_000}])
async def test_frames_are_no_larger_than_the_client_wants(settings: dict[int, int]) -> None:
    client = Client(Sending(LARGE[:60_000]))
    client.set(settings)
    client.say(request(1))
    assert sum(sizes(await client.heard(DATA))) == 60_000


async def test_an_answer_whose_window_is_full_holds_up_no_other() -> None:
    client = Client(Echo())
    client.set({INITIAL_WINDOW_SIZE: 100})
    client.say(request(1, LARGE[:1000], GRPC), request(3, b"small", GRPC))
    assert (await client.answer(3)).is_whole
    assert client.answers[1].body == LARGE[:100]


async def test_an_empty_answer_needs_no_window() -> None:
    client = Client(Sending())
    client.set({INITIAL_WINDOW_SIZE: 0})
    client.say(request(1))
    assert (await client.answer(1)).is_whole


async def test_a_window_below_zero_is_filled_up_before_more_is_sent() -> None:
    client = Client(Sending(LARGE[:1000]))
    client.set({INITIAL_WINDOW_SIZE: 600})
    client.say(request(1))
    await client.heard()
    client.set({INITIAL_WINDOW_SIZE: 100})
    client.credit(1, 500)
    assert await client.heard(DATA) == []
    client.credit(1, 1)
    assert sizes(await client.heard(DATA)) == [1]


async def test_a_refusal_keeps_to_the_window_too() -> None:
    client = Client(Echo())
    client.set({INITIAL_WINDOW_SIZE: 0})
    client.say(headers(1, {**USUAL, **{f"x-{number}": "1" for number in range(101)}}))
    resets = await client.heard(RST_STREAM)
    assert (client.answers[1].status, len(resets)) == (b"431", 1)


async def test_the_system_takes_no_more_for_a_while() -> None:
    app = Sending(LARGE[:10_000], LARGE[10_000:20_000])
    client = Client(app)
    client.say(headers(1))
    client.connection.pause_writing()
    client.say(data(1, b"", ends=True))
    assert await client.heard(DATA) == []
    assert app.sent == 0
    client.connection.resume_writing()
    answer = await client.answer(1)
    assert (answer.body, app.sent) == (LARGE[:20_000], 2)


async def test_what_is_written_at_once_is_limited_by_the_system() -> None:
    app = Sending(bytes(20 * MIB))
    client = Client(app)
    client.set({INITIAL_WINDOW_SIZE: 2**31 - 1})
    client.credit(0, 2**31 - 1 - 65_535)
    client.transport.after_write = client.connection.pause_writing
    client.say(request(1))
    for _ in range(100):
        await client.heard()
        client.connection.resume_writing()
    assert (await client.answer(1)).is_whole
    assert len(client.answers[1].body) == 20 * MIB
    assert client.transport.largest_write < 2 * MIB


async def test_who_reads_nothing_of_what_it_asks_for_is_left() -> None:
    client = Client(Echo())
    client.connection.pause_writing()
    client.transport.unread_bytes = 3 * MIB
    client.say(frame(PING, 0, 0, b"12345678"))
    await client.heard()
    assert not client.transport.is_over
    client.transport.unread_bytes = 5 * MIB
    client.say(frame(PING, 0, 0, b"12345678"))
    await client.heard()
    assert client.transport.is_aborted


@pytest.mark.parametrize("goes", ["stream", "connection"])
async def test_who_leaves_instead_of_taking_more_ends_the_answer(goes: str) -> None:
    app = Sending(LARGE)
    client = Client(app)
    client.say(request(1))
    await client.heard()
    if goes == "stream":
        client.say(frames.number_frame(RST_STREAM, 1, frames.CANCEL))
    else:
        client.end()
    assert await client.heard() == []
    assert app.failed


async def test_a_clients_credit_comes_back_as_the_application_reads() -> None:
    class Held(Slow):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.receive = receive
            await self.wait()

    app = Held()
    client = Client(app)
    client.say(headers(1), *(data(1, bytes(16_384)) for _ in range(64)))
    assert [one.stream for one in await client.heard(WINDOW_UPDATE)] == [0]
    assert len((await app.receive())["body"]) == MIB
    given = [(one.stream, decode_number(one.payload)) for one in await client.heard(WINDOW_UPDATE)]
    assert sorted(given) == [(0, MIB), (1, MIB)]
    client.say(*(data(1, bytes(16_384)) for _ in range(64)), data(1, b"x"))
    (reset,) = await client.heard(RST_STREAM)
    assert (reset.stream, decode_number(reset.payload)) == (1, frames.FLOW_CONTROL_ERROR)
    client.end()


async def test_padding_counts_and_is_given_back() -> None:
    client = Client(Echo())
    client.say(headers(1), frame(DATA, 0x8, 1, b"\x10x" + bytes(16)))
    await client.heard()
    client.say(frame(DATA, 0x8, 1, b"\x10x" + bytes(16)))
    (credit,) = await client.heard(WINDOW_UPDATE)
    assert (credit.stream, decode_number(credit.payload)) == (1, 18)


@pytest.mark.parametrize("fields", [GRPC, USUAL], ids=["whole", "received"])
async def test_the_connections_credit_comes_back_whatever_becomes_of_the_streams(fields: dict[str, str]) -> None:
    app = Slow()
    client = Client(app)
    credit, sent = 16 * MIB, 0
    for number in range(200):
        stream = 2 * number + 1
        ends = number % 3 == 0
        pieces = [data(stream, bytes(16_384)) for _ in range(8)]
        client.say(headers(stream, fields), *pieces, data(stream, bytes(100), ends=ends))
        sent += 8 * 16_384 + 100
        if number % 3 == 1:
            await client.heard()
        if number % 3 or fields is GRPC:
            client.say(frames.number_frame(RST_STREAM, stream, frames.CANCEL))
        elif number % 6 == 0:
            app.may_answer.set()
        client.say(data(stream, bytes(1000)))
        sent += 1000
        for one in await client.heard(WINDOW_UPDATE):
            credit += 0 if one.stream else decode_number(one.payload)
        assert sent <= credit, "a client that keeps to its window would wait for ever"
    assert sent > 16 * MIB
    assert not client.transport.is_over


async def test_more_than_the_connections_window_ends_it() -> None:
    class Deaf(Slow):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.wait()

    client = Client(Deaf())
    for number in range(16):
        stream = 2 * number + 1
        client.say(headers(stream), *(data(stream, bytes(16_384)) for _ in range(64)))
    assert not client.transport.is_over
    client.say(headers(33), data(33, b"x", ends=True))
    assert (await client.goaway())[1] == frames.FLOW_CONTROL_ERROR
    client.end()


@pytest.mark.parametrize(
    ("stream", "given", "code"),
    [
        (0, [0], frames.PROTOCOL_ERROR),
        (0, [2**31 - 1], frames.FLOW_CONTROL_ERROR),
        (3, [1], frames.PROTOCOL_ERROR),
    ],
    ids=["of nothing", "of more than there is", "of no stream"],
)
async def test_a_connections_window_that_cannot_be_ends_it(stream: int, given: list[int], code: int) -> None:
    client = Client(Slow())
    client.say(request(1, b"x", GRPC), *(frames.number_frame(WINDOW_UPDATE, stream, credit) for credit in given))
    assert (await client.goaway())[1] == code


@pytest.mark.parametrize(("credit", "code"), [(0, frames.PROTOCOL_ERROR), (2**31 - 1, frames.FLOW_CONTROL_ERROR)])
async def test_a_streams_window_that_cannot_be_resets_it(credit: int, code: int) -> None:
    client = Client(Slow())
    client.say(request(1, b"x", GRPC), frames.number_frame(WINDOW_UPDATE, 1, credit))
    assert (await client.answer(1)).reset == code
    assert not client.transport.is_over


async def test_a_first_window_that_makes_a_streams_too_large_ends_the_connection() -> None:
    client = Client(Slow())
    client.say(request(1, b"x", GRPC))
    client.credit(1, 2**31 - 1 - 65_535)
    client.set({INITIAL_WINDOW_SIZE: 65_536})
    assert (await client.goaway())[1] == frames.FLOW_CONTROL_ERROR


@pytest.mark.parametrize("where", ["headers", "trailers"])
async def test_header_blocks_of_answers_are_cut_to_the_size_of_frames(where: str) -> None:
    long = (b"x-long", b"y" * 40_000)

    class Wordy(Echo):
        async def _echo(self, body: bytes) -> Any:
            answer = await super()._echo(body)
            return replace(answer, headers=(*answer.headers, long), trailers=(*answer.trailers, long))

    client = Client(Wordy())
    client.say(request(1, b"x", GRPC))
    answer = await client.answer(1)
    assert answer.is_whole
    assert long in getattr(answer, where)


async def test_what_comes_of_a_stream_that_has_ended_is_given_back() -> None:
    client = Client(Echo())
    client.say(request(1))
    late = data(1, bytes(16_384)) * 64
    for _ in range(40):
        client.say(late)
        await client.heard()
    assert not client.transport.is_over
