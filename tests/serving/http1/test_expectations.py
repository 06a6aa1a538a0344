"""Clients that wait to be asked for the body. Source: RFC 9110, section 10.1.1."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.serving.http.stand import Echo
from tests.serving.http1.stand import GET, Client, chunked, head
from tests.serving.http1.test_bodies import Early, Hasty, Held, Pieces

EXPECTS = b"expect: 100-continue"


async def test_a_client_is_asked_for_the_body_when_the_application_wants_it() -> None:
    client = Client(Held())
    client.say(head(EXPECTS, b"content-length: 3"))
    assert await client.answers() == []
    assert len(client.app.scopes) == 1
    client.app.may_answer.set()
    assert (await client.answer()).asked == 1
    client.say(b"abc")
    answer = await client.answer()
    assert (answer.status, answer.asked, answer.body, client.state) == (200, 1, b"abc", "open")


@pytest.mark.parametrize("rest", [b"abc", b"a"], ids=["whole", "begun"])
async def test_a_client_that_does_not_wait_to_be_asked_is_not(rest: bytes) -> None:
    client = Client(Pieces())
    client.say(head(EXPECTS, b"content-length: 3") + rest)
    await client.settle()
    client.say(b"abc"[len(rest) :])
    answer = await client.answer()
    assert (answer.asked, answer.body) == (0, b"abc")


async def test_chunks_are_asked_for_once() -> None:
    client = Client(Pieces())
    client.say(head(b"Expect: 100-Continue", b"transfer-encoding: chunked"))
    await client.settle()
    client.say(b"3\r\nabc\r\n")
    await client.settle()
    client.say(chunked(b"def"))
    answer = await client.answer()
    assert (answer.asked, answer.body) == (1, b"abcdef")


async def test_a_client_of_http_1_0_is_not_asked() -> None:
    client = Client()
    client.say(head(EXPECTS, b"content-length: 3", first=b"POST / HTTP/1.0"))
    assert await client.answers() == []
    client.say(b"abc")
    assert (await client.answer()).asked == 0


@pytest.mark.parametrize("line", [b"content-length: 0", b"x: y"])
async def test_a_client_is_not_asked_for_a_body_that_is_empty(line: bytes) -> None:
    client = Client()
    assert (await client.ask(head(EXPECTS, line))).asked == 0


async def test_a_client_that_has_left_is_not_asked() -> None:
    class Stubborn(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                assert await receive() == {"type": "http.disconnect"}
                self.left += 1

    client = Client(Stubborn())
    client.say(head(EXPECTS, b"content-length: 3"))
    await client.settle()
    client.end()
    await client.settle()
    assert (client.app.left, client.transport.written) == (1, b"")


async def test_a_client_is_not_asked_once_its_answer_has_begun() -> None:
    client = Client(Early())
    client.say(head(EXPECTS, b"content-length: 3"))
    await client.settle()
    client.say(b"abc")
    answer = await client.answer()
    assert (answer.asked, answer.body) == (0, b"early, late")


async def test_a_client_is_asked_once_though_the_application_asks_twice() -> None:
    class Impatient(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            receive()
            await super().__call__(scope, receive, send)

    client = Client(Impatient())
    client.say(head(EXPECTS, b"content-length: 3"))
    await client.settle()
    client.say(b"abc")
    answer = await client.answer()
    assert (answer.asked, answer.body) == (1, b"abc")


async def test_an_answer_instead_of_asking_for_the_body_is_the_last() -> None:
    app = Hasty()
    app.may_answer.set()
    client = Client(app)
    answer = await client.ask(head(EXPECTS, b"content-length: 3"))
    assert (answer.status, answer.asked, answer.closes, client.state) == (429, 0, True, "ended")
    assert app.heard == {"type": "http.disconnect"}
    client.say(b"abc", GET)
    assert len(await client.answers()) == 1
