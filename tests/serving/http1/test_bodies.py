"""Bodies of requests: by length and in chunks, cut anywhere, asked for, and read as fast as the application does."""

from __future__ import annotations

from typing import Any

import pytest

from serving.client_limits import MAX_HEADERS, WINDOW_BYTES
from serving.http.answering import WHOLE_BYTES
from tests.serving.http.stand import Echo, Slow
from tests.serving.http1.stand import CHUNKED, GET, Client, chunked, head, post


class Pieces(Echo):
    """Notes what each `receive` brings; answers once it has all."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            self.pieces.append(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"".join(self.pieces)})


class Hasty(Slow):
    """Answers without a look at the body."""

    heard: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await self.wait()
        await send({"type": "http.response.start", "status": 429, "headers": []})
        await send({"type": "http.response.body", "body": b"later"})
        self.heard = await receive()


class Held(Slow):
    """Reads when it is told to."""

    async def _read_and_answer(self, scope: Any, receive: Any, send: Any) -> None:
        await self.wait()
        await super()._read_and_answer(scope, receive, send)


class Early(Echo):
    """Answers while the body still comes."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"early", "more_body": True})
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.body", "body": b", late"})


FORMS = {
    "by length": post(b"abcdef"),
    "in chunks": CHUNKED + chunked(b"abc", b"def"),
    "with extensions": CHUNKED + b'3;x\r\nabc\r\n3;y="z; 5"\r\ndef\r\n0;last\r\n\r\n',
    "with trailers": CHUNKED + chunked(b"abcdef", trailers=b"x-sum: 7\r\nx-more:\r\n"),
    "large digits": CHUNKED + b"00006\r\nabcdef\r\n00\r\n\r\n",
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_request_may_be_cut_at_every_byte(form: str) -> None:
    said = FORMS[form]
    for cut in range(1, len(said)):
        client = Client()
        client.say(said[:cut])
        await client.settle()
        assert await client.answers() == []
        client.say(said[cut:])
        client.say(GET)
        assert await client.bodies() == [b"abcdef", b""]


@pytest.mark.parametrize("form", FORMS)
async def test_a_request_may_come_byte_by_byte(form: str) -> None:
    client = Client()
    for byte in FORMS[form] + GET:
        client.say(bytes([byte]))
        await client.settle()
    assert await client.bodies() == [b"abcdef", b""]
    assert client.app.scopes[0]["headers"][0] == (b"host", b"gateway")


async def test_a_short_body_is_waited_for_and_a_long_one_read_as_it_comes() -> None:
    for size, starts in ((WHOLE_BYTES, False), (WHOLE_BYTES + 1, True)):
        client = Client(Pieces())
        client.say(post(bytes(size))[:-1])
        await client.settle()
        assert client.app.pieces == ([bytes(size - 1)] if starts else [])
        assert client.connection.in_flight == 1
        client.say(b"\0")
        assert (await client.answer()).body == bytes(size)
        assert client.app.pieces == ([bytes(size - 1), b"\0"] if starts else [bytes(size)])


async def test_chunks_are_read_as_they_come() -> None:
    client = Client(Pieces())
    for piece in (CHUNKED, b"3\r\nabc\r\n", b"5\r\nde", b"fgh\r\n0\r\n", b"\r\n"):
        client.say(piece)
        await client.settle()
    assert client.app.pieces == [b"abc", b"de", b"fgh", b""]
    assert (await client.answer()).body == b"abcdefgh"


async def test_what_comes_behind_chunks_in_the_same_piece_is_lost_and_the_client_told() -> None:
    client = Client()
    client.say(CHUNKED, chunked(b"abc"), post(b"more"))
    answer = await client.answer()
    assert (answer.body, answer.closes, client.connection.requests) == (b"abc", True, 1)
    assert client.state in {"closed", "ended"}


async def test_empty_lines_behind_chunks_are_nothing() -> None:
    client = Client()
    client.say(CHUNKED, chunked(b"abc"), b"\r\n")
    assert not (await client.answer()).closes
    client.say(GET)
    assert await client.bodies() == [b"abc", b""]


async def test_nonsense_behind_chunks_ends_the_connection_with_their_answer() -> None:
    client = Client()
    client.say(CHUNKED, chunked(b"abc"), b"\0nonsense")
    answer = await client.answer()
    assert (answer.status, answer.body, answer.closes) == (200, b"abc", True)


async def test_headers_behind_chunks_are_no_trailers() -> None:
    client = Client()
    client.say(CHUNKED, chunked(b"abc"), MAX_HEADERS * head(b"x: y", first=b"GET / HTTP/1.1"))
    assert (await client.answer()).body == b"abc"


async def test_much_behind_chunks_is_not_beside_them() -> None:
    client = Client()
    client.say(CHUNKED, chunked(b"abc"), post(bytes(70_000)))
    assert (await client.answer()).body == b"abc"


@pytest.mark.parametrize("begun", [post(bytes(200_000))[:-5], CHUNKED, CHUNKED + b"3\r\nabc\r\n"])
async def test_an_answer_before_the_body_has_ended_is_the_last_and_its_end_is_seen(begun: bytes) -> None:
    app = Hasty()
    app.may_answer.set()
    client = Client(app)
    answer = await client.ask(begun)
    assert (answer.body, answer.is_whole, answer.closes, client.state) == (b"later", True, True, "ended")
    client.say(bytes(10_000_000))
    await client.settle()
    assert client.transport.is_reading
    assert len(await client.answers()) == 1


async def test_what_still_comes_after_the_last_answer_is_read_though_the_application_has_not_read_what_came() -> None:
    client = Client(Hasty())
    client.say(CHUNKED, chunked(bytes(WINDOW_BYTES + 1))[:-5])
    await client.settle()
    assert not client.transport.is_reading
    client.app.may_answer.set()
    await client.settle()
    assert (client.state, client.transport.is_reading) == ("ended", True)


async def test_an_answer_to_a_whole_body_that_was_not_read_keeps_the_connection() -> None:
    client = Client(Hasty())
    client.app.may_answer.set()
    client.say(post(b"abc"))
    assert not (await client.answer()).closes
    client.say(CHUNKED, chunked(b"x"))
    assert await client.bodies() == [b"later", b"later"]


async def test_a_body_that_ends_before_the_answer_has_keeps_no_connection_that_was_told_to_close() -> None:
    client = Client(Early())
    client.say(CHUNKED)
    await client.settle()
    client.say(chunked(b"abc"))
    answer = await client.answer()
    assert (answer.body, answer.closes, client.state) == (b"early, late", True, "closed")


@pytest.mark.parametrize("form", ["by length", "in chunks"])
async def test_a_client_is_read_no_faster_than_the_application_reads(form: str) -> None:
    client = Client(Held())
    piece = bytes(WINDOW_BYTES // 4)
    many = 6 * piece
    client.say(head(b"content-length: %d" % len(many)) if form == "by length" else CHUNKED)
    for _ in range(4):
        assert client.transport.is_reading
        client.say(piece if form == "by length" else chunked(piece)[:-5])
        await client.settle()
    assert client.transport.is_reading
    client.say(b"\0" if form == "by length" else b"1\r\n\0\r\n")
    assert not client.transport.is_reading
    client.app.may_answer.set()
    client.say(many[4 * len(piece) + 1 :] if form == "by length" else chunked(many[4 * len(piece) + 1 :]))
    assert (await client.answer()).body == many
    assert client.transport.is_reading


async def test_a_large_body_that_was_not_read_does_not_stop_the_next_request() -> None:
    client = Client(Hasty())
    client.say(post(bytes(WINDOW_BYTES + 1)))
    await client.settle()
    client.app.may_answer.set()
    client.say(GET)
    assert await client.bodies() == [b"later", b"later"]
