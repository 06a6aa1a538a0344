"""Whatever comes, in whatever pieces: nothing is raised or left behind, and what is valid is answered exactly."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.requests import MalformedRequestError
from serving.http2.header_blocks import HeadReader, split_block
from serving.wire import http2 as frames
from serving.wire.http2 import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, FrameReader, ProtocolError
from tests.serving.http.stand import Echo, Sending, Slow
from tests.serving.http2.conversations import Conversation, conversations, cut
from tests.serving.http2.stand import GRPC, USUAL, Answer, Client, block, frame, request

PADDED = 0x8
Step = Callable[[Client], None]


async def left_behind(app: Echo, steps: Iterable[Step | None]) -> None:
    """Plays these steps, None for a turn of the event loop, and expects that nothing is left of the connection then."""
    client = Client(app)
    for step in [*steps, None]:
        if client.transport.is_over:
            break
        if step is None:
            await asyncio.sleep(0)
        else:
            step(client)
    await asyncio.sleep(0)
    client.end()
    assert not client.connection._streams
    assert not client.connection.outbox._blocked
    assert client.lost == [client.connection]
    if isinstance(app, Slow):
        app.may_answer.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not client.connection._streams
    for one in FrameReader(65_536).feed(bytes(client.transport.written)):
        assert one.kind <= CONTINUATION


def say(piece: bytes) -> Step:
    return lambda client: client.say(piece)


def look(seconds: float) -> Step:
    return lambda client: client.connection.look(asyncio.get_running_loop().time() + seconds)


apps = st.sampled_from([Echo, Slow, lambda: Echo(100), lambda: Sending(b"a" * 70_000, b"b")])
turns = st.none()
streams = st.integers(0, 9)
blocks = st.one_of(
    st.sampled_from([block(GRPC), block(USUAL), block({"x-trailer": "1"}), block({**USUAL, "content-length": "3"})]),
    st.sampled_from(
        [block(USUAL)[:-3], b"", b"\xbe", hpack.Encoder().encode(GRPC), b"\x20" + block(GRPC), b"\x3f\xff"]
    ),
    st.binary(max_size=40),
)
numbers = st.one_of(st.sampled_from([0, 1, 100, 2**31 - 1, 2**31]), st.integers(0, 2**32 - 1))
payloads = st.one_of(
    st.binary(max_size=80),
    blocks,
    numbers.map(lambda number: number.to_bytes(4, "big")),
    st.tuples(st.integers(0, 8), numbers).map(lambda one: one[0].to_bytes(2, "big") + one[1].to_bytes(4, "big")),
    st.sampled_from([b"12345678", b"are you?", b"go away?", bytes(16_384)]),
)
flags = st.one_of(st.sampled_from([0, END_STREAM, END_HEADERS, END_HEADERS | END_STREAM, PADDED]), st.integers(0, 255))
odd_frames = st.builds(frame, st.integers(0, 11), flags, streams, payloads)
valid_frames = st.one_of(
    st.builds(
        frame,
        st.just(HEADERS),
        st.sampled_from([END_HEADERS, END_HEADERS | END_STREAM]),
        streams.map(lambda stream: stream | 1),
        blocks,
    ),
    st.builds(frame, st.just(DATA), st.sampled_from([0, END_STREAM]), streams, st.binary(max_size=300)),
    st.builds(frames.number_frame, st.sampled_from([frames.RST_STREAM, frames.WINDOW_UPDATE]), streams, numbers),
)
events = st.one_of(
    turns,
    st.lists(st.one_of(valid_frames, valid_frames, odd_frames), min_size=1, max_size=6).map(b"".join).map(say),
    st.sampled_from([0.5, 5.0, 15.0, 70.0, 100.0, 130.0, 1000.0]).map(look),
    st.sampled_from(
        [
            lambda client: client.connection.pause_writing(),
            lambda client: client.connection.resume_writing(),
            lambda client: client.connection.leave(),
            lambda client: client.connection.abort(),
        ]
    ),
)


@given(apps, st.lists(st.one_of(turns, st.binary(max_size=400).map(say))))
def test_whatever_bytes_come_nothing_is_raised_or_left_behind(app: Callable[[], Echo], pieces: list[Any]) -> None:
    asyncio.run(left_behind(app(), pieces))


@given(
    apps,
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.lists(st.integers(1, 200), min_size=1, max_size=5),
)
def test_requests_that_are_damaged_underway_raise_nothing_and_leave_nothing_behind(
    app: Callable[[], Echo], damage: list[tuple[int, int]], sizes: list[int]
) -> None:
    said = bytearray(request(1, b"question", GRPC) + request(3, b"another") + request(5, b"", GRPC))
    for at, byte in damage:
        said[at % len(said)] = byte
    asyncio.run(left_behind(app(), [say(piece) for piece in cut(bytes(said), sizes)]))


@given(apps, st.lists(events, max_size=30))
def test_whatever_frames_come_nothing_is_raised_or_left_behind(app: Callable[[], Echo], played: list[Any]) -> None:
    asyncio.run(left_behind(app(), played))


@given(
    conversations(),
    st.lists(st.integers(1, 3000), min_size=1, max_size=4),
    st.sampled_from([0, 1, 100, 65_535, 2**31 - 30_000]),
    st.sampled_from([16_384, 20_000, 2**24 - 1]),
    st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), max_size=3),
    st.sampled_from([1_000_000, 1000, 77]),
)
def test_requests_reach_the_application_and_their_answers_the_client_exactly(
    conversation: Conversation,
    sizes: list[int],
    first_window: int,
    frame_bytes: int,
    given_credit: list[tuple[int, int]],
    piece_bytes: int,
) -> None:
    said, asked = conversation

    async def talk() -> None:
        app = Echo(piece_bytes)
        client = Client(app)
        client.set({frames.INITIAL_WINDOW_SIZE: first_window, frames.MAX_FRAME_SIZE: frame_bytes})
        for piece in cut(said, sizes):
            client.say(piece)
        await client.heard()
        found = {scope["path"]: (scope["headers"], body) for scope, body in app.answered}
        assert found == {f"/{number}": one[:2] for number, one in enumerate(asked)}
        assert len(app.answered) == len(asked)
        answers = [client.answers.setdefault(2 * number + 1, Answer()) for number in range(len(asked))]
        turn = 0
        while not all(answer.is_whole for answer in answers):
            assert not client.transport.is_over
            assert turn < 200
            of_connection, of_stream = [*given_credit, (5000, 5000)][turn % (len(given_credit) + 1)]
            client.credit(0, of_connection)
            for stream, answer in client.answers.items():
                if not answer.is_whole:
                    client.credit(stream, of_stream)
            await client.heard()
            turn += 1
        for one, answer in zip(asked, answers, strict=True):
            assert (answer.status, answer.body, answer.reset) == (b"200", one.body, None)
            assert (b"content-type", b"application/grpc" if answer.trailers else b"text/plain") in answer.headers
            assert one.is_grpc or not answer.trailers
        assert not client.connection._streams
        client.end()

    asyncio.run(talk())


fields_to_encode = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([b":path", b"content-type", b"x-a"]), st.binary(min_size=1, max_size=300)),
        st.one_of(st.sampled_from([b"/", b"application/grpc"]), st.binary(max_size=300)),
    ),
    max_size=12,
)


@given(st.lists(fields_to_encode, min_size=1, max_size=4), st.booleans(), st.sampled_from([4096, 200, 0]))
def test_a_split_block_is_the_block_and_means_the_same(given_blocks: Any, huffman: bool, table_bytes: int) -> None:
    encoder, whole, split = hpack.Encoder(), hpack.Decoder(), hpack.Decoder()
    encoder.header_table_size = table_bytes
    for given_fields in given_blocks:
        content = encoder.encode(given_fields, huffman=huffman)
        parts = list(split_block(content))
        assert b"".join(parts) == content
        found = [list(split.decode(part, raw=True)) for part in parts]
        assert all(len(fields) <= 1 for fields in found)
        assert [field for fields in found for field in fields] == list(whole.decode(content, raw=True))


@given(st.one_of(st.binary(max_size=60), st.lists(st.sampled_from([b"\x82", b"\x40\x01x\x01", b"\xff", b"\x7f\x01"]))))
def test_a_block_of_any_bytes_is_split_where_a_decoder_sees_its_fields(content: Any) -> None:
    content = content if isinstance(content, bytes) else b"".join(content)
    try:
        expected = list(hpack.Decoder().decode(content, raw=True))
    except hpack.HPACKError:
        with contextlib.suppress(ProtocolError, IndexError):
            list(split_block(content))
        return
    parts = list(split_block(content))
    assert b"".join(parts) == content
    decoder = hpack.Decoder()
    assert [field for part in parts for field in decoder.decode(part, raw=True)] == expected


parts_of_blocks = st.sampled_from(
    [b"", b"\xbe", b"\xbe", b"\x40\x01x\x01a", b"\x40\x01x\x01b", b"\xbf", b"\x00\x01x\x01d"]
)
some_blocks = st.tuples(
    st.sampled_from([b"", b"", b"", b"", b"\x3f\x09", b"\x3f\x30"]), st.lists(parts_of_blocks, max_size=3)
)


@given(st.lists(st.tuples(some_blocks, st.sampled_from(["request", "request", "trailers", "malformed"])), max_size=30))
def test_what_a_reader_remembers_never_changes_what_a_block_means(said: Any) -> None:
    decoder, reader, usual = hpack.Decoder(), HeadReader(), block(USUAL)
    for one in (reader.fields, decoder.decode):
        one(b"\x40\x01x\x01c\x40\x01x\x01d")
    for (size, parts), kind in said:
        content = size + (usual if kind == "request" else b"") + b"".join(parts)
        try:
            expected = [tuple(field) for field in decoder.decode(content, raw=True)]
        except hpack.HPACKError:
            with pytest.raises(ProtocolError):
                reader.fields(content)
            return
        if kind == "request":
            head = reader.known(content) or reader.read(content)
            assert head.scope["headers"][1:] == expected[4:]
        elif kind == "trailers":
            assert reader.fields(content) == expected
        else:
            with pytest.raises(MalformedRequestError):
                reader.read(content)
