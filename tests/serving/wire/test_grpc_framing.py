"""gRPC's frames, timeouts and status texts."""

from __future__ import annotations

import contextlib
import gzip
import random
import zlib
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidInputError, PayloadTooLargeError, UnsupportedError
from serving.wire.grpc_framing import (
    FrameSplitter,
    decode_message,
    encode_message,
    encode_status_message,
    parse_timeout,
)

LIMIT = 100_000


def frame(message: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


@given(st.binary(max_size=100))
def test_what_is_framed_is_unframed(message: bytes) -> None:
    assert encode_message(message) == frame(message)
    assert decode_message(encode_message(message), "", LIMIT) == message


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]))
def test_compressed_messages_are_inflated(message: bytes, encoding: str) -> None:
    packed = gzip.compress(message) if encoding == "gzip" else zlib.compress(message)
    assert decode_message(frame(packed, 1), encoding, LIMIT) == message


def test_an_encoding_may_be_announced_and_not_used() -> None:
    assert decode_message(frame(b"abc"), "gzip", LIMIT) == b"abc"


@pytest.mark.parametrize("length", range(5))
def test_a_body_without_a_whole_frame_header_is_refused(length: int) -> None:
    with pytest.raises(InvalidInputError, match=f"received a body of {length} bytes without a frame header"):
        decode_message(frame(b"")[:length], "", LIMIT)


@pytest.mark.parametrize(
    "body",
    [frame(b"abc")[:-1], frame(b"abc") + b"x", frame(b"abc") * 2, frame(b"") * 2, b"\0\xff\xff\xff\xffabc"],
    ids=["truncated", "trailing", "doubled", "doubled empty", "absurd length"],
)
def test_anything_but_exactly_one_message_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInputError, match="expected one gRPC message: its frame announces"):
        decode_message(body, "", LIMIT)


@pytest.mark.parametrize("encoding", ["", "identity", "snappy"])
def test_unknown_compressions_are_named(encoding: str) -> None:
    with pytest.raises(UnsupportedError, match=f"grpc-encoding gzip or deflate, received {encoding or 'none'}$"):
        decode_message(frame(b"abc", 1), encoding, LIMIT)


@pytest.mark.parametrize(("flag", "encoding"), [(2, "gzip"), (255, "")])
def test_a_frame_of_an_unknown_kind_is_refused(flag: int, encoding: str) -> None:
    with pytest.raises(InvalidInputError, match=f"expected 0, or 1 for a compressed message, received {flag}$"):
        decode_message(frame(b"abc", flag), encoding, LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_stopped_at_the_limit(encoding: str) -> None:
    zeros = b"\0" * 50_000_000
    bomb = gzip.compress(zeros) if encoding == "gzip" else zlib.compress(zeros)
    with pytest.raises(PayloadTooLargeError, match="expected at most 100,000 bytes once inflated"):
        decode_message(frame(bomb, 1), encoding, LIMIT)


def test_the_limit_is_exact() -> None:
    assert len(decode_message(frame(gzip.compress(b"x" * 1000), 1), "gzip", 1000)) == 1000
    with pytest.raises(PayloadTooLargeError):
        decode_message(frame(gzip.compress(b"x" * 1001), 1), "gzip", 1000)


@pytest.mark.parametrize("size", [0, 1, 2**16 - 1, 2**16, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
@pytest.mark.parametrize("compresses", [True, False], ids=["zeros", "noise"])
def test_what_comes_in_several_pieces_is_whole(size: int, compresses: bool) -> None:
    content = bytes(size) if compresses else random.Random(1).randbytes(size)
    packed = gzip.compress(content, 1)
    assert decode_message(frame(packed, 1), "gzip", size) == content
    with pytest.raises(InvalidInputError, match="100000 bytes follow its end"):
        decode_message(frame(packed + bytes(100_000), 1), "gzip", size)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda packed: packed[:-1], "it ends too early"),
        (lambda packed: packed[:5], "it ends too early"),
        (lambda packed: b"", "it ends too early"),
        (lambda packed: packed + b"abc", "3 bytes follow its end"),
        (lambda packed: packed + packed, "bytes follow its end"),
        (lambda packed: b"not gzip", "incorrect header"),
        (lambda packed: packed[:-8] + b"\0" * 8, "incorrect data check"),
    ],
    ids=["short by one", "only a header", "empty", "garbage after", "doubled", "no gzip", "wrong checksum"],
)
def test_damaged_gzip_is_refused(damage: object, reason: str) -> None:
    packed = gzip.compress(b"some message of some length")
    with pytest.raises(InvalidInputError, match=reason):
        decode_message(frame(damage(packed), 1), "gzip", LIMIT)  # type: ignore[operator]


@given(st.binary(max_size=60), st.sampled_from(["", "gzip", "deflate", "br"]))
def test_arbitrary_bodies_are_a_message_or_refused(body: bytes, encoding: str) -> None:
    with contextlib.suppress(InvalidInputError, UnsupportedError):
        assert isinstance(decode_message(body, encoding, LIMIT), bytes)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1H", 3600),
        ("2M", 120),
        ("3S", 3),
        ("250m", 0.25),
        ("7u", 7e-6),
        ("9n", 9e-9),
        ("0S", 0),
        ("00000010S", 10),
        ("99999999H", 359999996400),
    ],
)
def test_timeouts_are_read_in_all_units(value: str, seconds: float) -> None:
    assert parse_timeout(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "100000000S", "1 S", "٣S", "²S", "1SS"])
def test_malformed_timeouts_are_refused(value: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^grpc-timeout: expected up to 8 digits and one of H M S m u n"):
        parse_timeout(value)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_status_texts_are_printable_ascii_that_decodes_to_themselves(text: str) -> None:
    encoded = encode_status_message(text)

    assert all(0x20 <= byte <= 0x7E for byte in encoded)
    assert unquote(encoded.decode()) == text


def test_printable_ascii_but_percent_is_left_alone() -> None:
    printable = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
    assert encode_status_message(printable) == printable.encode()
    assert encode_status_message("100 % é\n") == b"100 %25 %C3%A9%0A"


@given(st.lists(st.binary(max_size=30), max_size=5), st.integers(1, 9))
def test_a_stream_is_cut_into_its_frames_in_whatever_pieces_it_comes(messages: list[bytes], piece: int) -> None:
    stream = b"".join(map(frame, messages))
    splitter = FrameSplitter(LIMIT)
    found = [one for start in range(0, len(stream), piece) for one in splitter.feed(stream[start : start + piece])]
    splitter.close()
    assert found == list(map(frame, messages))


def test_a_frame_that_announces_too_much_is_refused_before_it_comes() -> None:
    with pytest.raises(PayloadTooLargeError, match="at most 10 bytes, one announces 11"):
        FrameSplitter(10).feed(frame(bytes(11))[:5])


def test_a_stream_that_ends_within_a_frame_is_refused() -> None:
    splitter = FrameSplitter(LIMIT)
    assert splitter.feed(frame(b"whole") + frame(b"cut")[:-1]) == [frame(b"whole")]
    with pytest.raises(InvalidInputError, match="ends within a frame, after 7 bytes"):
        splitter.close()
