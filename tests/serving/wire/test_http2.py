"""Frames and header blocks: cut from whatever pieces come, and refused where they are not as agreed."""

from __future__ import annotations

import contextlib

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.wire import http2 as frames
from serving.wire.http2 import (
    Frame,
    FrameReader,
    ProtocolError,
    decode_fields,
    decode_number,
    decode_settings,
    encode_fields,
    frame_head,
    settings_frame,
)

some_frames = st.lists(
    st.builds(
        Frame,
        st.integers(0, 255),
        st.integers(0, 255),
        st.integers(0, frames.LAST_STREAM),
        st.binary(max_size=300),
    ),
    max_size=5,
)


def encoded(frame: Frame) -> bytes:
    return frame_head(frame.kind, frame.flags, frame.stream, len(frame.payload)) + frame.payload


@given(some_frames, st.lists(st.integers(1, 400), min_size=1))
def test_frames_are_the_same_in_whatever_pieces_they_come(sent: list[Frame], sizes: list[int]) -> None:
    data = b"".join(map(encoded, sent))
    reader, found, position, turn = FrameReader(), [], 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        found += reader.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    assert found == sent


def test_a_reserved_bit_before_the_stream_is_no_part_of_it() -> None:
    (frame,) = FrameReader().feed(b"\0\0\0\x01\x05\x80\0\0\x07")
    assert frame.stream == 7


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n", frame_head(0, 0, 1, 16_385)])
def test_what_is_larger_than_agreed_is_refused_before_it_has_come(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="at most 16384 bytes"):
        FrameReader().feed(data)


@pytest.mark.parametrize(
    ("kind", "flags", "payload", "expected"),
    [
        (frames.DATA, 0, b"abc", b"abc"),
        (frames.DATA, 0x8, b"\x02abc\0\0", b"abc"),
        (frames.DATA, 0x8, b"\x00abc", b"abc"),
        (frames.HEADERS, 0x20, b"\0\0\0\0\x10abc", b"abc"),
        (frames.HEADERS, 0x28, b"\x01\0\0\0\0\x10abc\0", b"abc"),
    ],
)
def test_padding_and_priority_are_no_content(kind: int, flags: int, payload: bytes, expected: bytes) -> None:
    assert Frame(kind, flags, 1, payload).content() == expected


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x09abc"])
def test_more_padding_than_content_is_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        Frame(frames.DATA, 0x8, 1, payload).content()


def test_settings_come_back_as_they_were_written() -> None:
    (frame,) = FrameReader().feed(settings_frame({1: 0, 4: 2**31 - 1}))
    assert decode_settings(frame.payload) == {1: 0, 4: 2**31 - 1}


def test_what_is_too_short_for_its_kind_is_refused() -> None:
    for decode in (decode_settings, decode_number):
        with pytest.raises(ProtocolError):
            decode(b"abc")


fields = st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.binary(max_size=300)), max_size=5)


@given(fields)
def test_header_blocks_can_be_read_by_whoever_has_read_none_before(given_fields: list[tuple[bytes, bytes]]) -> None:
    assert list(hpack.Decoder().decode(encode_fields(given_fields), raw=True)) == given_fields


def test_a_peer_that_says_that_its_table_is_empty_is_understood() -> None:
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    for _ in range(3):  # the first block says so, the others do not
        block = encoder.encode([(b":status", b"200"), (b"x-some", b"thing")])
        assert decode_fields(block) == {b":status": b"200", b"x-some": b"thing"}


def test_a_block_that_needs_a_table_is_refused() -> None:
    encoder = hpack.Encoder()
    encoder.encode([(b"x-some", b"thing")])
    with pytest.raises(ProtocolError, match="header block"):
        decode_fields(encoder.encode([(b"x-some", b"thing")]))


@given(st.binary(max_size=60))
def test_damaged_header_blocks_are_refused_or_read_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        decode_fields(data)
