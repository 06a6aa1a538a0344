"""Header blocks: what the application is told of a request, what no request may have, and blocks that came before."""

from __future__ import annotations

from typing import Any

import hpack
import orjson
import pytest

from serving.http.requests import Head, MalformedRequestError
from serving.http2.header_blocks import HeadReader, split_block
from serving.wire import http2 as frames
from serving.wire.http2 import ProtocolError
from tests.serving.http.stand import Echo
from tests.serving.http2.stand import GRPC, USUAL, Client, block, headers, request

PSEUDO = [(":method", "POST"), (":scheme", "http"), (":path", "/a.B/C")]
LIMITS = "expected at most 100 headers and 61,440 bytes, received"

USUAL_BLOCK = block(PSEUDO)
NEWEST = b"\xbe"
"""The field that was the last to enter the table."""


def indexed(value: str) -> bytes:
    """A field x that enters the table."""
    return b"\x40\x01x" + bytes([len(value)]) + value.encode()


def values(head: Head) -> list[str]:
    """Of the fields x."""
    return [value.decode() for name, value in head.scope["headers"] if name == b"x"]


def known_or_read(reader: HeadReader, one: bytes) -> Head:
    return reader.known(one) or reader.read(one)


def read(fields: Any) -> Head:
    return HeadReader(("192.0.2.7", 5)).read(block(fields))


def test_a_header_block_is_the_scope_of_a_request() -> None:
    head = read({**GRPC, ":path": "/v1/caf%C3%A9%20x?a=%20b", "x-id": "7"})
    assert head.scope.pop("raw_path").partition(b"?")[0] == b"/v1/caf%C3%A9%20x"
    assert head.scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "2",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/café x",
        "query_string": b"a=%20b",
        "root_path": "",
        "headers": [
            (b"host", b"gateway"),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"x-id", b"7"),
        ],
        "client": ("192.0.2.7", 5),
        "server": None,
        "extensions": {"http.response.trailers": {}},
    }
    assert (head.is_grpc, head.body_bytes, head.expects_continue, head.refusal) == (True, None, False, None)


def test_the_authority_is_the_host() -> None:
    fields = [*PSEUDO, (":authority", "one"), ("host", "another"), ("x", "y")]
    assert read(fields).scope["headers"] == [(b"host", b"one"), (b"x", b"y")]
    assert read([*PSEUDO, ("host", "another")]).scope["headers"] == [(b"host", b"another")]


def test_what_a_request_says_of_its_body_is_read() -> None:
    head = read({**USUAL, "content-length": "012", "expect": "100-Continue", "content-type": "application/json"})
    assert (head.is_grpc, head.body_bytes, head.expects_continue) == (False, 12, True)


@pytest.mark.parametrize(
    "fields",
    [
        *([one for one in PSEUDO if one is not left_out] for left_out in PSEUDO),
        [*PSEUDO[:2], (":path", "")],
        [*PSEUDO, (":path", "/other")],
        [*PSEUDO, (":status", "200")],
        [*PSEUDO, (":protocol", "websocket")],
        [PSEUDO[0], ("x-some", "thing"), *PSEUDO[1:]],
        [(":method", "CONNECT"), *PSEUDO[1:]],
        [*PSEUDO, ("Upper", "case")],
        [*PSEUDO, ("a blank", "x")],
        [*PSEUDO, ("", "x")],
        [*PSEUDO, ("x", "a\0b")],
        [*PSEUDO, ("x", "a\nb")],
        [*PSEUDO, ("x", "a\rb")],
        [*PSEUDO, ("x", " a")],
        [*PSEUDO, ("x", "a\t")],
        [*PSEUDO, ("connection", "close")],
        [*PSEUDO, ("transfer-encoding", "chunked")],
        [*PSEUDO, ("upgrade", "websocket")],
        [*PSEUDO, ("te", "gzip")],
        [*PSEUDO, ("content-length", "-1")],
        [*PSEUDO, ("content-length", "")],
        [*PSEUDO, ("content-length", "1,1")],
        [*PSEUDO, ("content-length", "5"), ("content-length", "6")],
        [*PSEUDO, ("content-length", "9" * 5000)],
    ],
    ids=lambda fields: " ".join(f"{name}={value}" for name, value in fields if (name, value) not in PSEUDO)[:40],
)
def test_what_no_request_may_have_is_malformed(fields: Any) -> None:
    with pytest.raises(MalformedRequestError):
        read(fields)


async def test_a_refusal_does_not_ask_for_the_body_that_was_announced() -> None:
    client = Client(Echo())
    client.say(headers(1, {**USUAL, ":path": "*", "content-length": "5"}, ends=True))
    assert (await client.answer(1)).status == b"404"


async def test_a_malformed_request_is_reset_and_others_go_on() -> None:
    app = Echo()
    client = Client(app)
    client.say(headers(1, {"x": "y"}, ends=True), request(3, b"x"))
    await client.heard()
    assert (client.answers[1].reset, client.answers[1].headers) == (frames.PROTOCOL_ERROR, [])
    assert client.answers[3].body == b"x"


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({**USUAL, **{f"x-{number}": "1" for number in range(101)}}, b"431", f"{LIMITS} 101 and"),
        ({**USUAL, "x": "1" * 61_440}, b"431", f"{LIMITS} 1 and"),
        ({**USUAL, ":path": "*"}, b"404", "expected a path that begins with /, received *"),
        ({**USUAL, ":path": "/%FF"}, b"400", "Malformed request: the path is not percent-encoded UTF-8: /%FF"),
    ],
    ids=["many headers", "long headers", "another form", "not UTF-8"],
)
async def test_a_request_is_refused_in_place_of_the_application(
    fields: dict[str, str], status: bytes, text: str
) -> None:
    app = Echo()
    client = Client(app)
    content = block(fields)
    rest = [content[at : at + 16_000] for at in range(0, len(content), 16_000)]
    for kind, part in zip([frames.HEADERS, *[frames.CONTINUATION] * 9], rest, strict=False):
        ends = frames.END_HEADERS if part is rest[-1] else 0
        client.say(frames.frame_head(kind, ends, 1, len(part)) + part)
    answer = await client.answer(1)
    assert (answer.status, dict(answer.headers)[b"content-type"]) == (status, b"application/json")
    assert orjson.loads(answer.body)["error"].startswith(text)
    assert (answer.is_whole, answer.reset) == (True, frames.NO_ERROR)
    client.say(request(3, b"x"))
    assert (await client.answer(3)).body == b"x"
    assert len(app.scopes) == 1


async def test_as_many_headers_as_there_may_be_are_answered() -> None:
    app = Echo()
    client = Client(app)
    client.say(request(1, b"", {**USUAL, **{f"x-{number}": "1" for number in range(100)}}))
    assert (await client.answer(1)).status == b"200"
    assert len(app.scopes[0]["headers"]) == 101


async def test_a_refused_call_has_its_status_in_its_headers() -> None:
    client = Client(Echo())
    client.say(request(1, b"", {**GRPC, ":path": "/%FF"}))
    answer = await client.answer(1)
    assert (answer.status, answer.body, answer.is_whole) == (b"200", b"", True)
    fields = dict(answer.headers)
    assert fields[b"grpc-status"] == b"13"
    assert fields[b"grpc-message"].startswith(b"Malformed request")


async def test_the_refusal_of_a_head_request_has_no_body() -> None:
    client = Client(Echo())
    client.say(request(1, b"", {**USUAL, ":method": "HEAD", ":path": "*"}))
    answer = await client.answer(1)
    assert (answer.status, answer.body, answer.is_whole) == (b"404", b"", True)


async def test_a_refused_request_that_is_whole_is_not_reset() -> None:
    client = Client(Echo())
    client.say(request(1, b"", {**USUAL, ":path": "*"}))
    answer = await client.answer(1)
    assert (answer.status, answer.is_whole, answer.reset) == (b"404", True, None)


def test_a_block_that_was_seen_before_is_not_read_again() -> None:
    reader = HeadReader()
    encoder = hpack.Encoder()
    blocks = [encoder.encode(GRPC) for _ in range(3)]
    heads = [known_or_read(reader, one) for one in blocks]
    assert blocks[0] != blocks[1] == blocks[2]
    assert heads[0] is not heads[1]
    assert heads[1] is heads[2]
    assert heads[0] == heads[1]


def test_a_block_means_something_else_once_a_request_has_changed_the_table() -> None:
    reader = HeadReader()
    reader.read(USUAL_BLOCK + indexed("a"))
    assert [values(known_or_read(reader, USUAL_BLOCK + NEWEST)) for _ in range(2)] == [["a"], ["a"]]
    reader.read(USUAL_BLOCK + indexed("b"))
    assert values(known_or_read(reader, USUAL_BLOCK + NEWEST)) == ["b"]


def test_a_block_means_something_else_once_trailers_have_changed_the_table() -> None:
    reader = HeadReader()
    reader.read(USUAL_BLOCK + indexed("a"))
    assert values(known_or_read(reader, USUAL_BLOCK + NEWEST)) == ["a"]
    reader.fields(indexed("b"))
    assert values(known_or_read(reader, USUAL_BLOCK + NEWEST)) == ["b"]


def test_a_block_means_something_else_once_a_malformed_one_has_changed_the_table() -> None:
    reader = HeadReader()
    reader.read(USUAL_BLOCK + indexed("a"))
    assert values(known_or_read(reader, USUAL_BLOCK + NEWEST)) == ["a"]
    with pytest.raises(MalformedRequestError):
        reader.read(indexed("b"))
    assert values(known_or_read(reader, USUAL_BLOCK + NEWEST)) == ["b"]


@pytest.mark.parametrize("added", range(1, 7))
def test_a_block_that_changes_the_table_may_mean_something_else_the_next_time(added: int) -> None:
    """The table holds one entry, and each new one evicts the one before: in memory it may come to lie in its place."""
    reader = HeadReader()
    reader.read(b"\x3f\x09" + USUAL_BLOCK + indexed("first"))
    new = [f"new {number}" for number in range(added)]
    one = USUAL_BLOCK + NEWEST + b"".join(map(indexed, new))
    assert values(known_or_read(reader, one)) == ["first", *new]
    assert values(known_or_read(reader, one)) == [new[-1], *new]


@pytest.mark.parametrize("size", [0, 60, 100, 4096])
def test_what_is_read_is_what_a_decoder_without_a_memory_reads(size: int) -> None:
    encoder, decoder, reader = hpack.Encoder(), hpack.Decoder(), HeadReader()
    encoder.header_table_size = size
    for number in range(300):
        added = {f"x-{number * step % 7}": "v" * (number * step % 5) for step in (1, 3) if number % (step + 2)}
        one = encoder.encode({**USUAL, **added})
        expected = [tuple(field) for field in decoder.decode(one, raw=True)]
        assert known_or_read(reader, one).scope["headers"][1:] == expected[4:]


def test_a_large_block_is_split_and_read() -> None:
    fields = {**USUAL, **{f"x-{number}": "v" * 100 for number in range(90)}}
    content = hpack.Encoder().encode(fields)
    assert len(content) > 2048
    assert len(read(fields).scope["headers"]) == 91
    assert b"".join(split_block(content)) == content
    assert [len(list(hpack.Decoder().decode(part))) for part in split_block(block(fields))] == [1] * 94


@pytest.mark.parametrize("damage", [b"\x40", b"\x40\x05ab", b"\xff\xff", b"\x82\xff\x80\x80\x80\x80\x10", b"\x80"])
@pytest.mark.parametrize("before", [0, 3000])
def test_a_damaged_block_ends_its_connection(damage: bytes, before: int) -> None:
    content = block({**USUAL, "x-long": "v" * before}) + damage
    with pytest.raises(ProtocolError) as caught:
        HeadReader().read(content)
    assert caught.value.code == frames.COMPRESSION_ERROR


@pytest.mark.parametrize("before", [0, 3000])
def test_the_size_of_the_table_changes_only_at_the_beginning_of_a_block(before: int) -> None:
    content = block({**USUAL, "x-long": "v" * before})
    assert HeadReader().read(b"\x3e" + content)
    with pytest.raises(ProtocolError):
        HeadReader().read(content + b"\x3e")


@pytest.mark.parametrize("one", [b"\x82", b"\x00\x01x\x00"], ids=["indexed", "literal"])
def test_a_block_of_far_too_many_fields_ends_its_connection(one: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        HeadReader().read(one * 2500)
    assert caught.value.code == frames.ENHANCE_YOUR_CALM


def test_a_block_of_too_many_bytes_ends_its_connection() -> None:
    with pytest.raises(ProtocolError) as caught:
        HeadReader().fields(indexed("v" * 126) + NEWEST * 1900)
    assert caught.value.code == frames.ENHANCE_YOUR_CALM


def test_a_number_that_does_not_end_is_not_read_to_the_end_of_the_block() -> None:
    class Counted(bytes):
        looked = 0

        def __getitem__(self, at: Any) -> Any:
            type(self).looked += 1
            return super().__getitem__(at)

    with pytest.raises((ProtocolError, IndexError)):
        list(split_block(Counted(b"\x7f" + b"\xff" * 60_000)))
    assert Counted.looked < 100
