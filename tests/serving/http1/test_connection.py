"""One HTTP/1.1 connection: requests one after the other, how long it is kept, and how answers end. Source: RFC 9112."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.serving.http.stand import Echo, Sending, Slow
from tests.serving.http1.stand import CHUNKED, GET, WHO, Client, Whole, chunked, head, post

GET_1_0, GET_1_1 = b"GET / HTTP/1.0", b"GET / HTTP/1.1"
KEEP_ALIVE = b"connection: keep-alive"
CLOSE = b"connection: close"


async def test_a_request_is_answered_and_the_connection_kept() -> None:
    client = Client()
    answer = await client.ask(post(b"question"))
    assert (answer.status, answer.version, answer.body) == (200, b"1.1", b"question")
    assert answer.headers[b"content-type"] == b"text/plain"
    assert answer.headers[b"server"] == b"atelier"
    assert answer.headers[b"date"].endswith(b" GMT")
    assert b"connection" not in answer.headers
    assert (client.state, client.connection.requests, client.connection.in_flight) == ("open", 1, 0)
    client.say(post(b"another"))
    assert await client.bodies() == [b"question", b"another"]
    assert client.connection.requests == 2


async def test_the_application_is_told_what_was_asked() -> None:
    client = Client(scheme=b"https")
    first = b"POST /v1/caf%C3%A9%20x?a=%20b HTTP/1.1"
    await client.ask(post(b"x", b"X-Id:  7 ", b"Accept: */*", b"x-none:", first=first))
    (scope,) = client.app.scopes
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": "/v1/café x",
        "raw_path": scope["raw_path"],
        "query_string": b"a=%20b",
        "root_path": "",
        "headers": [
            (b"host", b"gateway"),
            (b"x-id", b"7"),
            (b"accept", b"*/*"),
            (b"x-none", b""),
            (b"content-length", b"1"),
        ],
        "client": WHO,
        "server": None,
        "extensions": {"http.response.trailers": {}},
    }
    assert scope["raw_path"].partition(b"?")[0] == b"/v1/caf%C3%A9%20x"


@pytest.mark.parametrize(
    ("request_", "closes"),
    [
        (head(first=GET_1_1), False),
        (head(KEEP_ALIVE, first=GET_1_1), False),
        (head(CLOSE, first=GET_1_1), True),
        (head(b"Connection: x, Close", first=GET_1_1), True),
        (head(KEEP_ALIVE, CLOSE, first=GET_1_1), True),
        (head(b"connection: closed", b"x: close", first=GET_1_1), False),
        (post(b"x", CLOSE), True),
        (head(CLOSE, b"transfer-encoding: chunked") + chunked(b"x"), True),
        (CHUNKED + chunked(b"x"), False),
        (head(CLOSE, b"upgrade: h2c", first=GET_1_1), True),
        (head(b"connection: upgrade", b"upgrade: websocket", first=GET_1_1), False),
        (head(b"connection: upgrade", b"upgrade: h2c"), False),
        (head(first=GET_1_0), True),
        (head(KEEP_ALIVE, first=GET_1_0), False),
        (head(b"connection: Keep-Alive", host=b"", first=GET_1_0), False),
        (post(b"x", KEEP_ALIVE, first=b"POST / HTTP/1.0"), False),
        (post(b"x", first=b"POST / HTTP/1.0"), True),
    ],
    ids=lambda one: one.replace(b"\r\n", b" ").decode() if isinstance(one, bytes) else "",
)
async def test_a_connection_is_kept_as_the_client_wants(request_: bytes, closes: bool) -> None:
    client = Client(Whole() if b"1.0" in request_ else Sending(b"in chunks"))
    answer = await client.ask(request_)
    assert (answer.status, answer.is_whole) == (200, True)
    assert client.state == ("closed" if closes else "open")
    assert answer.closes is closes
    if b"HTTP/1.0" in request_ and not closes:
        assert answer.headers[b"connection"] == b"keep-alive"
    if not closes:
        client.say(GET)
        assert len(await client.answers()) == 2


async def test_an_answer_in_one_piece_has_its_length() -> None:
    answer = await Client(Whole()).ask(GET)
    assert (answer.headers[b"content-length"], answer.body, answer.is_whole) == (b"5", b"whole", True)
    assert b"transfer-encoding" not in answer.headers


async def test_a_length_that_the_application_says_is_kept() -> None:
    class Known(Whole):
        headers = ((b"content-length", b"5"), (b"x", b"y"))

    answer = await Client(Known()).ask(GET)
    assert answer.names == [b"content-length", b"x", b"date", b"server"]
    assert answer.body == b"whole"


async def test_an_answer_in_pieces_comes_in_chunks() -> None:
    client = Client(Sending(b"first", b"", b"second" * 20_000))
    answer = await client.ask(GET)
    assert answer.headers[b"transfer-encoding"] == b"chunked"
    assert b"content-length" not in answer.headers
    assert (answer.body, answer.is_whole) == (b"first" + b"second" * 20_000, True)
    assert client.transport.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\n5\r\nfirst\r\n1d4c0\r\n" in client.transport.written
    client.say(GET)
    assert len(await client.answers()) == 2


@pytest.mark.parametrize("line", [CLOSE, KEEP_ALIVE])
async def test_the_end_of_an_answer_in_pieces_to_http_1_0_is_that_of_the_connection(line: bytes) -> None:
    client = Client(Sending(b"first", b"second"))
    answer = await client.ask(head(line, first=GET_1_0))
    assert (answer.body, answer.is_whole, answer.closes, client.state) == (b"firstsecond", True, True, "closed")
    assert answer.headers.keys().isdisjoint({b"transfer-encoding", b"content-length"})


async def test_an_answer_of_known_length_comes_in_pieces_without_chunks() -> None:
    class Streaming(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
            for piece in (b"ab", b"cd"):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"ef"})

    client = Client(Streaming())
    client.say(GET, GET)
    assert await client.bodies() == [b"abcdef", b"abcdef"]


@pytest.mark.parametrize("app", [Whole(), Sending(b"one", b"two")], ids=["whole", "in pieces"])
async def test_the_body_of_an_answer_to_head_is_left_out(app: Echo) -> None:
    client = Client(app)
    client.methods = ["HEAD"]
    client.say(head(first=b"HEAD / HTTP/1.1"), GET)
    first, second = await client.answers()
    assert (first.body, first.is_whole, first.closes) == (b"", True, False)
    assert second.body in {b"whole", b"onetwo"}
    framing = (b"content-length", b"transfer-encoding")
    assert [first.headers.get(name) for name in framing] == [second.headers.get(name) for name in framing]


async def test_trailers_of_an_answer_are_left_out_and_end_it() -> None:
    class Trailing(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
            await send({"type": "http.response.body", "body": b"text"})
            await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})
            self.bodies.append(b"sent")

    client = Client(Trailing())
    client.say(GET, GET)
    assert await client.bodies() == [b"text", b"text"]
    assert client.app.bodies == [b"sent", b"sent"]
    assert b"grpc-status" not in client.transport.written


async def test_a_connection_that_leaves_ends_with_the_next_answer() -> None:
    client = Client(leaves=True)
    answer = await client.ask(GET)
    assert (answer.closes, client.state) == (True, "closed")


@pytest.mark.parametrize("when", ["before", "during"])
async def test_who_is_to_leave_is_told_with_the_next_answer(when: str) -> None:
    client = Client(Slow())
    if when == "before":
        client.connection.leave()
    client.say(GET)
    await client.settle()
    client.connection.leave()
    assert client.state == "open"
    client.app.may_answer.set()
    answer = await client.answer()
    assert (answer.closes, client.state) == (True, "closed")


async def test_an_answer_that_has_begun_by_keeping_the_connection_keeps_it() -> None:
    released = asyncio.Event()

    class Begun(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            await released.wait()
            await send({"type": "http.response.body", "body": b""})

    client = Client(Begun())
    client.say(GET)
    await client.settle()
    client.connection.leave()
    released.set()
    client.say(GET)
    first, second = await client.answers()
    assert (first.closes, second.closes, client.state) == (False, True, "closed")


@pytest.mark.parametrize(("status", "method"), [(204, "GET"), (304, "GET"), (204, "HEAD")])
async def test_statuses_without_a_body_have_none(status: int, method: str) -> None:
    class Empty(Whole):
        body = b""

    app = Empty()
    app.status = status
    client = Client(app)
    client.methods = [method, method]
    client.say(2 * head(first=method.encode() + b" / HTTP/1.1"))
    assert [(one.status, one.body, one.is_whole) for one in await client.answers()] == 2 * [(status, b"", True)]


async def test_lines_that_are_empty_before_a_request_are_left_out() -> None:
    client = Client()
    for piece in (b"\r", b"\n\r\n", post(b"x") + b"\r\n\r", b"\n" + post(b"y")):
        client.say(piece)
        await client.settle()
    assert await client.bodies() == [b"x", b"y"]


async def test_a_connection_may_be_ended_at_once() -> None:
    client = Client(Slow())
    client.say(GET)
    await client.settle()
    client.connection.abort()
    assert (client.state, client.lost) == ("aborted", [])
    client.say(GET)
    client.end()
    assert await client.answers() == []
    assert (client.lost, client.connection.in_flight) == ([client.connection], 0)
