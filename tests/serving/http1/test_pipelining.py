"""Requests that come before the one before them is answered: each in its turn, and one at a time."""

from __future__ import annotations

from typing import Any

import pytest

from serving.http1.connection import _MOST_WAITING_BYTES
from tests.serving.http.stand import Echo, Slow
from tests.serving.http1.stand import CHUNKED, GET, Client, chunked, head, post


class OneByOne(Slow):
    """Notices when two requests are answered at once."""

    now = most = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await super().__call__(scope, receive, send)
        self.now -= 1


BODIES = [b"%d" % number for number in range(10)]
SAID = b"".join(map(post, BODIES))


@pytest.mark.parametrize("size", [len(SAID), 120, 7])
async def test_requests_that_come_together_are_answered_in_their_order(size: int) -> None:
    app = OneByOne()
    app.may_answer.set()
    client = Client(app)
    for at in range(0, len(SAID), size):
        client.say(SAID[at : at + size])
    assert await client.bodies() == BODIES
    assert (app.most, app.bodies, client.connection.requests) == (1, BODIES, 10)
    assert client.state == "open"


async def test_requests_that_come_while_another_is_answered_wait() -> None:
    client = Client(OneByOne())
    client.say(post(b"1"))
    await client.settle()
    client.say(post(b"2"))
    client.say(post(b"3")[:50])
    await client.settle()
    assert (len(client.app.scopes), client.connection.in_flight, client.connection.requests) == (1, 1, 1)
    client.app.may_answer.set()
    client.say(post(b"3")[50:])
    assert await client.bodies() == [b"1", b"2", b"3"]
    assert client.app.most == 1


async def test_what_comes_between_an_answer_and_the_next_request_is_in_its_place() -> None:
    """The answer is written, and the request behind it has not had its turn yet when more comes."""
    client = Client()
    more = [post(b"c"), post(b"d")[:30], post(b"d")[30:]]
    client.transport.after_write = lambda: client.connection.data_received(more.pop(0)) if more else None
    client.say(post(b"a"), post(b"b"))
    assert await client.bodies() == [b"a", b"b", b"c", b"d"]


@pytest.mark.parametrize("cut", range(1, 60, 7))
async def test_a_request_that_waits_may_be_cut_anywhere(cut: int) -> None:
    client = Client()
    client.say(post(b"1"), post(b"second")[:cut])
    await client.settle()
    client.say(post(b"second")[cut:])
    assert await client.bodies() == [b"1", b"second"]


async def test_a_long_body_that_begins_behind_another_request_is_read_on() -> None:
    body = bytes(range(256)) * 2000
    client = Client()
    client.say(GET + post(body)[:100_000])
    await client.settle()
    client.say(post(body)[100_000:])
    assert await client.bodies() == [b"", body]


async def test_a_chunked_body_may_come_behind_another_request() -> None:
    client = Client()
    client.say(GET, CHUNKED, chunked(b"abc", b"def"))
    await client.settle()
    client.say(GET)
    assert await client.bodies() == [b"", b"abcdef", b""]


async def test_nothing_more_is_read_while_much_waits() -> None:
    client = Client(Slow())
    client.say(GET)
    await client.settle()
    body = b"x" * (_MOST_WAITING_BYTES - len(post(bytes(65_000))) + 65_000)
    filling = post(body)
    assert len(filling) == _MOST_WAITING_BYTES
    client.say(filling)
    assert client.transport.is_reading
    client.say(GET)
    assert not client.transport.is_reading
    client.say(GET)
    client.app.may_answer.set()
    assert await client.bodies() == [b"", body, b"", b""]
    assert client.transport.is_reading


async def test_thousands_of_small_requests_are_answered_and_reading_goes_on() -> None:
    client = Client(Slow())
    client.say(GET)
    await client.settle()
    client.say(GET * 3000)
    assert not client.transport.is_reading
    client.app.may_answer.set()
    assert len(await client.answers()) == 3001
    assert client.transport.is_reading


async def test_what_waits_behind_the_last_answer_is_dropped_and_the_end_lingers() -> None:
    client = Client()
    client.say(post(b"1", b"connection: close"), post(b"2"))
    answer = await client.answer()
    assert (answer.body, answer.closes, client.state) == (b"1", True, "ended")
    client.say(post(b"3"))
    assert (await client.answer()).body == b"1"
    assert (client.app.bodies, client.connection.requests) == ([b"1"], 1)


async def test_a_refused_request_is_refused_in_its_turn() -> None:
    client = Client(Slow())
    client.say(post(b"1"), b"nonsense\r\n\r\n", post(b"3"))
    assert await client.answers() == []
    client.app.may_answer.set()
    first, second = await client.answers()
    assert (first.body, second.status, second.closes, client.state) == (b"1", 400, True, "ended")
    assert client.app.bodies == [b"1"]


async def test_a_failure_ends_what_waits_behind_it() -> None:
    class Failing(Echo):
        async def wait(self) -> None:
            raise ValueError("a fault of the application")

    client = Client(Failing())
    client.say(post(b"1"), post(b"2"))
    answer = await client.answer()
    assert (answer.status, answer.closes, client.connection.requests) == (500, True, 1)


async def test_a_client_that_leaves_takes_what_waits_with_it() -> None:
    client = Client(Slow())
    client.say(post(b"1"), post(b"2"), head(b"content-length: 5"))
    await client.settle()
    client.end()
    client.app.may_answer.set()
    await client.settle()
    assert (client.app.bodies, client.connection.in_flight, client.lost) == ([b"1"], 0, [client.connection])
    assert await client.answers() == []


@pytest.mark.parametrize("aborts", [False, True])
async def test_a_client_that_leaves_before_the_next_turn_is_not_answered(aborts: bool) -> None:
    client = Client()
    client.transport.after_write = client.connection.abort if aborts else client.end
    client.say(post(b"1"), post(b"2"))
    await client.settle()
    assert (client.app.bodies, client.connection.requests) == ([b"1"], 1)
    assert client.lost == ([] if aborts else [client.connection])


async def test_reading_goes_on_behind_many_empty_lines() -> None:
    client = Client(Slow())
    client.say(GET)
    await client.settle()
    client.say(b"\r\n" * 40_000)
    assert not client.transport.is_reading
    client.app.may_answer.set()
    client.say(GET)
    assert len(await client.answers()) == 2


async def test_what_still_comes_after_the_last_answer_is_read_though_much_has_waited() -> None:
    client = Client(Slow())
    client.say(post(b"1", b"connection: close"), GET * 3000)
    await client.settle()
    client.say(GET)
    assert not client.transport.is_reading
    client.app.may_answer.set()
    assert (await client.answer()).closes
    assert (client.state, client.transport.is_reading) == ("ended", True)
