"""How long clients may take, and how fast they are written to."""

from __future__ import annotations

from typing import Any

import pytest

from serving.http.patience import Patience
from tests.serving.http.stand import Clock, Echo, Sending, Slow
from tests.serving.http1.stand import CHUNKED, GET, Client, Whole, chunked, head, post

PATIENCE = Patience(request_timeout_s=30.0, idle_timeout_s=50.0, max_connection_age_s=500.0)


async def test_a_connection_without_requests_is_closed(clock: Clock) -> None:
    client = Client(patience=PATIENCE)
    client.let(clock, 50.0)
    assert client.state == "open"
    client.let(clock, 1.0)
    assert (client.state, client.transport.written) == ("closed", b"")


async def test_a_connection_is_idle_from_when_its_last_request_was_answered(clock: Clock) -> None:
    client = Client(Slow(), PATIENCE._replace(request_timeout_s=100.0))
    client.say(GET)
    await client.settle()
    client.let(clock, 80.0)
    client.app.may_answer.set()
    assert (await client.answer()).is_whole
    client.let(clock, 50.0)
    assert client.state == "open"
    client.say(b"\r\n")
    client.let(clock, 1.0)
    assert client.state == "closed"


@pytest.mark.parametrize(("request_timeout_s", "limit_s"), [(30.0, 10.0), (4.0, 4.0)])
async def test_a_head_that_does_not_end_is_refused(clock: Clock, request_timeout_s: float, limit_s: float) -> None:
    client = Client(patience=PATIENCE._replace(request_timeout_s=request_timeout_s))
    client.let(clock, 20.0)
    client.say(b"GET ")
    client.let(clock, limit_s)
    client.say(b"/ HTTP/1.1\r\n")
    assert client.state == "open"
    client.let(clock, 1.0)
    answer = await client.answer()
    assert (answer.status, answer.error) == (408, "the request was refused: request_header_timeout")
    assert (answer.closes, client.state, client.app.scopes) == (True, "ended", [])


async def test_a_head_may_take_as_long_as_that_behind_another_request(clock: Clock) -> None:
    client = Client(patience=PATIENCE)
    client.say(GET, GET[:20])
    assert (await client.answer()).is_whole
    client.let(clock, 10.0)
    client.say(GET[20:])
    assert len(await client.answers()) == 2
    client.let(clock, 11.0)
    assert client.state == "open"


BEGUN = [head(b"content-length: 5"), head(b"content-length: 99999"), CHUNKED, CHUNKED + b"4\r\n"]


@pytest.mark.parametrize("begun", BEGUN)
async def test_a_body_that_does_not_end_is_refused(clock: Clock, begun: bytes) -> None:
    client = Client(patience=PATIENCE)
    client.say(begun)
    await client.settle()
    client.let(clock, 29.0)
    client.say(b"ab")
    client.let(clock, 1.0)
    assert await client.answers() == []
    client.let(clock, 1.0)
    answer = await client.answer()
    assert (answer.status, answer.error) == (408, "the request was refused: request_overall_timeout")
    assert (answer.closes, client.state, client.app.bodies) == (True, "ended", [])
    assert client.app.left == len(client.app.scopes)


async def test_a_body_that_does_not_end_is_refused_though_the_answer_before_it_is_still_taken(clock: Clock) -> None:
    client = Client(patience=PATIENCE)
    client.say(GET, CHUNKED)
    await client.settle()
    for waited in range(31):
        assert len(await client.answers()) == 1
        client.transport.unread_bytes = 1000 - waited
        client.let(clock, 1.0)
    assert [answer.status for answer in await client.answers()] == [200, 408]


@pytest.mark.parametrize("said", [GET, post(b"abc"), CHUNKED + chunked(b"abc")])
async def test_an_answer_may_take_long(clock: Clock, said: bytes) -> None:
    client = Client(Slow(), PATIENCE)
    client.say(said)
    await client.settle()
    client.let(clock, 200.0)
    client.app.may_answer.set()
    assert (await client.answer()).status == 200


async def test_a_request_whose_answer_has_begun_may_take_long(clock: Clock) -> None:
    class Talking(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            await send({"type": "http.response.body", "body": (await receive())["body"]})

    client = Client(Talking(), PATIENCE)
    client.say(CHUNKED)
    await client.settle()
    client.let(clock, 100.0)
    client.say(chunked(b", ended"))
    assert (await client.answer()).body == b"begun, ended"


async def test_an_old_connection_ends_with_its_next_answer(clock: Clock) -> None:
    client = Client(patience=PATIENCE._replace(max_connection_age_s=40.0))
    client.let(clock, 40.0)
    client.say(GET)
    assert not (await client.answer()).closes
    client.let(clock, 1.0)
    assert client.state == "open"
    client.say(GET)
    assert [answer.closes for answer in await client.answers()] == [False, True]
    assert client.state == "closed"


async def test_a_connection_may_become_as_old_as_it_likes_where_there_is_no_limit(clock: Clock) -> None:
    client = Client(patience=PATIENCE._replace(max_connection_age_s=0.0))
    for _ in range(20):
        client.let(clock, 49.0)
        client.say(GET)
        await client.settle()
    assert len(await client.answers()) == 20
    assert client.state == "open"


async def test_who_still_sends_after_a_last_answer_is_heard_until_it_is_silent(clock: Clock) -> None:
    client = Client(patience=PATIENCE)
    await client.ask(b"nonsense\r\n\r\n")
    for _ in range(20):
        client.let(clock, 1.0)
        client.say(b"more")
    assert client.state == "ended"
    client.let(clock, 1.0)
    assert client.state == "ended"
    client.let(clock, 1.0)
    assert client.state == "aborted"


async def test_who_never_is_silent_is_cut_off(clock: Clock) -> None:
    client = Client(patience=PATIENCE)
    await client.ask(b"nonsense\r\n\r\n")
    for _ in range(30):
        client.let(clock, 1.0)
        client.say(b"more")
    assert client.state == "ended"
    client.let(clock, 1.0)
    assert client.state == "aborted"


async def test_who_has_not_read_the_last_answer_has_longer(clock: Clock) -> None:
    client = Client(patience=PATIENCE)
    client.transport.unread_bytes = 100
    await client.ask(b"nonsense\r\n\r\n")
    client.let(clock, 30.0)
    assert client.state == "ended"
    client.let(clock, 1.0)
    assert client.state == "aborted"


async def test_what_does_not_linger_is_cut_off_as_late(clock: Clock) -> None:
    client = Client(patience=PATIENCE)
    await client.ask(post(b"x", b"connection: close"))
    assert (client.transport.is_closed, client.transport.is_aborted) == (True, False)
    for seconds, state in ((30.0, "closed"), (1.0, "aborted")):
        clock.now_s += seconds
        client.connection.look(clock.now_s)
        assert client.state == state


async def test_an_application_waits_until_the_system_takes_more() -> None:
    app = Sending(b"first", b"second")
    client = Client(app)
    client.transport.after_write = client.connection.pause_writing
    client.say(GET)
    await client.settle()
    assert app.sent == 0
    for sent in (1, 2, 2):
        client.connection.resume_writing()
        await client.settle()
        assert app.sent == sent
    client.transport.after_write = lambda: None
    assert (await client.answer()).body == b"firstsecond"
    assert client.connection.in_flight == 0


async def test_a_request_behind_an_answer_that_is_not_taken_waits() -> None:
    client = Client(Whole())
    client.transport.after_write = client.connection.pause_writing
    client.say(GET, GET)
    for count in (1, 2, 2):
        await client.settle()
        assert len(client.app.scopes) == count
        client.connection.resume_writing()
    client.transport.after_write = lambda: None
    assert await client.bodies() == [b"whole", b"whole"]


async def test_a_client_that_does_not_read_is_cut_off(clock: Clock) -> None:
    app = Sending(bytes(100_000), b"more")
    client = Client(app, PATIENCE)
    client.transport.after_write = client.connection.pause_writing
    client.transport.unread_bytes = 100_000
    client.say(GET)
    await client.settle()
    client.let(clock, 30.0)
    assert client.state == "open"
    client.let(clock, 1.0)
    assert client.state == "aborted"
    client.end()
    await client.settle()
    assert (app.sent, app.failed, client.connection.in_flight) == (0, True, 0)


async def test_a_client_that_reads_slowly_is_not_cut_off(clock: Clock) -> None:
    client = Client(Sending(bytes(100_000)), PATIENCE)
    client.transport.after_write = client.connection.pause_writing
    client.transport.unread_bytes = 100_000
    client.say(GET)
    await client.settle()
    for _ in range(5):
        client.let(clock, 29.0)
        client.transport.unread_bytes -= 1
        client.let(clock, 1.0)
    client.let(clock, 30.0)
    assert client.state == "open"
    client.let(clock, 1.0)
    assert client.state == "aborted"
    client.end()
