"""Large answers are compressed for those who accept gzip; all others go as the application sent them."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest

from serving.frontends.http import WholeAnswer
from serving.http.exchange import DONE, ClientLeftError, Message
from serving.http.large_answers import _MAX_WAITING_BYTES, _MIN_BYTES, Compression, LargeAnswer
from tests.serving.http.stand import Echo
from tests.serving.http1.stand import Client, head

JSON = (b"content-type", b"application/json")
BODY = b"0123456789abcdef" * (_MIN_BYTES // 16)
ACCEPTS = b"accept-encoding: br, gzip"


class Sent:
    """What goes on."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, message: Message) -> Any:
        self.messages.append(message)
        return DONE


def start(*headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": 200, "headers": list(headers)}


async def sent(*messages: Message) -> list[Message]:
    """What becomes of these."""
    found = Sent()
    answers = LargeAnswer(Compression(None), found.send)
    for message in messages:
        await answers.send(message)
    return found.messages


async def test_a_large_answer_is_compressed() -> None:
    length = (b"content-length", b"%d" % len(BODY))
    first, second = await sent(start(JSON, length, (b"x", b"y")), {"type": "http.response.body", "body": BODY})
    compressed = second["body"]
    assert zlib.decompress(compressed, 31) == BODY
    assert first["status"] == 200
    assert list(first["headers"]) == [
        JSON,
        (b"x", b"y"),
        (b"content-encoding", b"gzip"),
        (b"vary", b"accept-encoding"),
        (b"content-length", b"%d" % len(compressed)),
    ]
    assert not second.get("more_body", False)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([JSON], BODY[1:]),
        ([(b"content-type", b"text/html")], BODY),
        ([(b"content-type", b"image/png")], BODY),
        ([JSON, (b"content-encoding", b"br")], BODY),
        ([], BODY),
        ([JSON], b""),
    ],
    ids=["small", "HTML", "an image", "encoded", "of no type", "empty"],
)
async def test_another_answer_goes_as_it_is(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    messages = [start(*headers), {"type": "http.response.body", "body": body}]
    found = await sent(*messages)
    assert [one is other for one, other in zip(found, messages, strict=True)] == [True, True]


async def test_tensors_are_compressed_too() -> None:
    first, _ = await sent(
        start((b"content-type", b"application/octet-stream")), {"type": "http.response.body", "body": BODY}
    )
    assert (b"content-encoding", b"gzip") in first["headers"]


async def test_an_answer_in_pieces_goes_as_it_comes() -> None:
    pieces = [{"type": "http.response.body", "body": BODY, "more_body": more} for more in (True, True, False)]
    messages = [start(JSON), *pieces]
    assert await sent(*messages) == messages


async def test_an_answer_with_trailers_keeps_them() -> None:
    begin = {**start((b"content-type", b"application/grpc")), "trailers": True}
    messages = [begin, {"type": "http.response.body", "body": BODY}, {"type": "http.response.trailers", "headers": []}]
    assert await sent(*messages) == messages


async def test_nothing_goes_before_the_body() -> None:
    assert await sent(start(JSON)) == []


async def test_who_has_left_meanwhile_is_told_of() -> None:
    def send(message: Message) -> Any:
        raise ClientLeftError

    answers = LargeAnswer(Compression(None), send)
    await answers.send(start(JSON))
    with pytest.raises(ClientLeftError):
        await answers.send({"type": "http.response.body", "body": BODY})


async def test_what_would_have_to_wait_long_goes_as_it_is() -> None:
    compression, headers = Compression(None), [JSON]
    half = bytes(_MAX_WAITING_BYTES // 2)
    compressing = asyncio.create_task(compression.compressed(WholeAnswer((JSON,), (half,))))
    assert compression.takes(headers, half)
    await asyncio.sleep(0)
    assert compression.takes(headers, half)
    assert not compression.takes(headers, half + b"x")
    assert len((await compressing).pieces[0]) < len(half)
    assert compression.takes(headers, half + b"x")


class Json(Echo):
    """Answers with a large JSON text."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send(start(JSON, (b"content-length", b"%d" % len(BODY))))
        await send({"type": "http.response.body", "body": BODY})


async def test_a_client_over_http_1_that_accepts_gzip_gets_it() -> None:
    client = Client(Json())
    client.say(head(ACCEPTS, first=b"GET / HTTP/1.1"))
    while not client.transport.written:
        await client.settle()
    answer = await client.answer()
    assert gzip.decompress(answer.body) == BODY
    assert answer.headers[b"content-encoding"] == b"gzip"
    assert answer.headers[b"content-length"] == b"%d" % len(answer.body)
    client.say(head(first=b"GET / HTTP/1.1"))
    _, plain = await client.answers()
    assert (plain.body, plain.headers[b"content-length"]) == (BODY, b"%d" % len(BODY))
    assert b"content-encoding" not in plain.headers


async def test_an_answer_to_head_says_what_get_would_have_brought() -> None:
    client = Client(Json())
    client.methods = ["HEAD", "GET"]
    for count, method in ((1, b"HEAD"), (2, b"GET")):
        client.say(head(ACCEPTS, first=method + b" / HTTP/1.1"))
        while len(await client.answers()) < count:
            pass
    asked, got = await client.answers()
    assert (asked.body, asked.names) == (b"", got.names)
    assert asked.headers[b"content-length"] == got.headers[b"content-length"] == b"%d" % len(got.body)


@pytest.mark.parametrize("line", [b"accept-encoding: gzip;q=0", b"accept-encoding: br", b"x: gzip"])
async def test_who_does_not_accept_gzip_gets_what_the_application_sent(line: bytes) -> None:
    answer = await Client(Json()).ask(head(line, first=b"GET / HTTP/1.1"))
    assert answer.body == BODY
    assert b"vary" not in answer.headers
