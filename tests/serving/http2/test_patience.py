"""How long clients may take: what ends by itself, and how a connection is left without losing a request."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from serving.http.patience import Patience
from serving.wire import http2 as frames
from serving.wire.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADERS,
    LARGEST_WINDOW_BYTES,
    LAST_STREAM,
    NO_ERROR,
    PING,
)
from tests.serving.http.stand import Clock, Echo, Sending, Slow
from tests.serving.http2.stand import GRPC, USUAL, Client, block, data, frame, headers, request

PATIENCE = Patience(request_timeout_s=30.0, idle_timeout_s=50.0, max_connection_age_s=500.0)
ARE_YOU_THERE, HAVE_YOU_HEARD = b"are you?", b"go away?"


def let(client: Client, clock: Clock, seconds: float) -> None:
    """So much time passes, seen by the connection every second."""
    until_s = clock.now_s + seconds
    while clock.now_s < until_s and not client.transport.is_over:
        clock.now_s = min(clock.now_s + 1.0, until_s)
        client.connection.look(clock.now_s)


def pong(payload: bytes) -> bytes:
    return frame(PING, ACK, 0, payload)


async def test_a_connection_without_requests_is_closed(clock: Clock) -> None:
    client = Client(Echo(), PATIENCE)
    let(client, clock, 50.0)
    assert await client.heard(GOAWAY) == []
    let(client, clock, 1.0)
    assert await client.goaway() == (LAST_STREAM, NO_ERROR)
    let(client, clock, 5.0)
    assert await client.goaway() == (0, NO_ERROR)
    assert client.transport.is_over


async def test_a_request_that_crosses_the_goodbye_of_an_idle_connection_is_answered(clock: Clock) -> None:
    client = Client(Echo(), PATIENCE)
    let(client, clock, 54.0)
    client.say(request(1, b"x", GRPC))
    let(client, clock, 4.0)
    assert (await client.answer(1)).is_whole
    let(client, clock, 5.0)
    assert client.transport.is_over


async def test_a_connection_is_idle_from_when_its_last_request_was_answered(clock: Clock) -> None:
    app = Slow()
    client = Client(app, PATIENCE._replace(idle_timeout_s=20.0))
    client.say(request(1, b"x", GRPC))
    await client.heard()
    let(client, clock, 50.0)
    app.may_answer.set()
    assert (await client.answer(1)).is_whole
    let(client, clock, 20.0)
    assert await client.heard(GOAWAY) == []
    let(client, clock, 1.0)
    assert len(await client.heard(GOAWAY)) == 1


@pytest.mark.parametrize(("request_timeout_s", "limit_s"), [(30.0, 10.0), (4.0, 4.0)])
async def test_headers_that_do_not_end_close_the_connection(
    clock: Clock, request_timeout_s: float, limit_s: float
) -> None:
    client = Client(Echo(), PATIENCE._replace(request_timeout_s=request_timeout_s))
    let(client, clock, 20.0)
    client.say(frame(HEADERS, 0, 1))
    let(client, clock, limit_s)
    client.say(frame(CONTINUATION, 0, 1, b"\x82"))
    assert not client.transport.is_over
    let(client, clock, 1.0)
    assert (await client.goaway())[1] == frames.PROTOCOL_ERROR
    assert client.transport.is_over


@pytest.mark.parametrize("fields", [USUAL, GRPC], ids=["HTTP", "gRPC"])
async def test_a_body_that_does_not_end_is_refused(clock: Clock, fields: dict[str, str]) -> None:
    app = Echo()
    client = Client(app, PATIENCE)
    client.say(headers(1, fields))
    for _ in range(30):
        client.say(data(1, b"x"))
        let(client, clock, 1.0)
    assert not (await client.answer(1)).headers
    let(client, clock, 1.0)
    answer = await client.answer(1)
    found = dict(answer.headers)
    if fields is GRPC:
        assert (found[b":status"], found[b"grpc-status"]) == (b"200", b"4")
        assert found[b"grpc-message"].endswith(b"request_overall_timeout")
    else:
        assert found[b":status"] == b"408"
        assert orjson.loads(answer.body) == {"error": "the request was refused: request_overall_timeout"}
    assert (answer.is_whole, answer.reset, app.left) == (True, NO_ERROR, 1)
    client.say(data(1, b"late"), request(3, b"x", GRPC))
    assert (await client.answer(3)).body == b"x"


async def test_an_answer_may_take_long(clock: Clock) -> None:
    app = Slow()
    client = Client(app, PATIENCE)
    client.say(request(1, b"x", GRPC), request(3, b"x"))
    await client.heard()
    let(client, clock, 59.0)
    app.may_answer.set()
    await client.heard()
    assert (client.answers[1].is_whole, client.answers[3].is_whole) == (True, True)


async def test_a_request_whose_answer_has_begun_may_take_long(clock: Clock) -> None:
    class Talking(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            body = (await receive())["body"]
            await send({"type": "http.response.body", "body": body})

    client = Client(Talking(), PATIENCE)
    client.say(headers(1))
    await client.heard()
    let(client, clock, 45.0)
    client.say(data(1, b", ended", ends=True))
    assert (await client.answer(1)).body == b"begun, ended"


async def test_an_answer_that_the_client_does_not_take_is_reset(clock: Clock) -> None:
    app = Sending(bytes(100_000))
    client = Client(app, PATIENCE)
    client.say(request(1))
    await client.heard()
    let(client, clock, 29.0)
    client.credit(0, 10)
    client.credit(1, 10)
    let(client, clock, 30.0)
    client.credit(0, 10)
    assert (await client.answer(1)).reset is None
    let(client, clock, 1.0)
    assert (await client.answer(1)).reset == frames.CANCEL
    assert app.failed


async def test_an_answer_that_the_system_takes_slowly_is_not_reset(clock: Clock) -> None:
    client = Client(Sending(bytes(8 * 2**20)), PATIENCE)
    client.set({frames.INITIAL_WINDOW_SIZE: LARGEST_WINDOW_BYTES})
    client.credit(0, LARGEST_WINDOW_BYTES - frames.DEFAULT_WINDOW_BYTES)
    client.transport.after_write = client.connection.pause_writing
    client.say(request(1))
    for _ in range(3):
        assert (await client.answer(1)).reset is None
        let(client, clock, 14.0)
        client.connection.resume_writing()
    let(client, clock, 31.0)
    client.connection.resume_writing()
    assert (await client.answer(1)).reset == frames.CANCEL


async def test_a_silent_client_is_asked_whether_it_is_there(clock: Clock) -> None:
    client = Client(Slow(), PATIENCE)
    client.say(request(1, b"x", GRPC))
    let(client, clock, 60.0)
    assert await client.heard(PING) == []
    let(client, clock, 1.0)
    (ping,) = await client.heard(PING)
    assert (ping.flags, ping.payload) == (0, ARE_YOU_THERE)
    client.say(pong(ARE_YOU_THERE))
    let(client, clock, 60.0)
    assert await client.heard(PING) == []
    let(client, clock, 1.0)
    assert len(await client.heard(PING)) == 1
    let(client, clock, 20.0)
    assert not client.transport.is_over
    let(client, clock, 1.0)
    assert client.transport.is_aborted
    client.end()


async def test_another_connection_is_wanted_when_this_one_is_old(clock: Clock) -> None:
    client = Client(Echo(), PATIENCE._replace(max_connection_age_s=40.0))
    let(client, clock, 40.0)
    assert await client.heard(GOAWAY) == []
    let(client, clock, 1.0)
    assert await client.goaway() == (LAST_STREAM, NO_ERROR)
    let(client, clock, 3.0)
    assert await client.heard(GOAWAY) == []
    assert not client.transport.is_over


async def test_a_connection_may_become_as_old_as_it_likes_where_there_is_no_limit(clock: Clock) -> None:
    app = Slow()
    client = Client(app, PATIENCE._replace(max_connection_age_s=0.0))
    client.say(request(1, b"x", GRPC))
    for _ in range(20):
        let(client, clock, 55.0)
        client.say(frame(PING, 0, 0, b"12345678"))
    assert await client.heard(GOAWAY) == []
    client.end()


async def test_who_is_left_is_answered_and_what_was_on_its_way_too() -> None:
    app = Slow()
    client = Client(app)
    client.say(request(1, b"x", GRPC))
    await client.heard()
    client.connection.leave()
    client.connection.leave()
    goaway, ping = await client.heard()
    assert (goaway.kind, frames.decode_number(goaway.payload)) == (GOAWAY, LAST_STREAM)
    assert (ping.kind, ping.flags, ping.payload) == (PING, 0, HAVE_YOU_HEARD)
    client.say(request(3, b"y", GRPC), pong(HAVE_YOU_HEARD))
    await client.heard()
    assert not client.transport.is_over
    app.may_answer.set()
    assert await client.goaway() == (3, NO_ERROR)
    assert (client.answers[1].is_whole, client.answers[3].is_whole) == (True, True)
    assert client.transport.is_over


async def test_who_is_left_without_requests_ends_when_it_has_heard_that() -> None:
    client = Client(Echo())
    client.connection.leave()
    client.say(request(1, b"x", GRPC))
    assert (await client.answer(1)).is_whole
    assert not client.transport.is_over
    client.say(pong(HAVE_YOU_HEARD))
    assert client.transport.is_over


async def test_nothing_is_asked_of_the_application_after_the_last_goodbye() -> None:
    app = Echo()
    client = Client(app)
    client.connection.leave()
    client.say(pong(HAVE_YOU_HEARD), request(1, b"of somebody who will ask elsewhere", GRPC))
    assert await client.goaway() == (0, NO_ERROR)
    client.say(request(3, b"of somebody who has not heard yet", GRPC))
    assert await client.heard() == []
    assert app.bodies == []


async def test_a_request_that_is_not_looked_at_any_more_still_changes_the_table_of_fields() -> None:
    client = Client(Echo())
    client.say(headers(1))
    client.connection.leave()
    client.say(pong(HAVE_YOU_HEARD), frame(HEADERS, frames.END_HEADERS, 3, block(USUAL) + b"\x40\x01x\x01a"))
    client.say(frame(HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, b"\xbe"))
    assert (await client.answer(1)).is_whole
    assert 3 not in client.answers


async def test_a_connection_that_leaves_answers_its_first_request(clock: Clock) -> None:
    client = Client(Echo(), leaves=True)
    client.say(request(1, b"x", GRPC))
    came = await client.heard(HEADERS, DATA, GOAWAY)
    assert [one.kind for one in came] == [HEADERS, DATA, HEADERS, GOAWAY]
    client.say(pong(HAVE_YOU_HEARD))
    assert client.transport.is_over


async def test_a_connection_that_leaves_does_not_wait_long_for_a_first_request(clock: Clock) -> None:
    client = Client(Echo(), leaves=True)
    assert await client.heard(GOAWAY) == []
    let(client, clock, 1.0)
    assert await client.goaway() == (LAST_STREAM, NO_ERROR)


async def test_who_is_left_for_a_fault_has_a_second_to_hear_why(clock: Clock) -> None:
    client = Client(Slow())
    client.say(frame(CONTINUATION, 0, 1))
    assert (client.transport.has_ended, client.transport.is_closed) == (True, False)
    client.say(bytes(100_000))
    for seconds, is_cut_off in ((1.0, False), (0.5, True)):
        clock.now_s += seconds
        client.connection.look(clock.now_s)
        assert client.transport.is_aborted is is_cut_off


async def test_who_does_not_read_why_it_is_left_has_its_time_for_that(clock: Clock) -> None:
    client = Client(Slow(), PATIENCE)
    client.transport.unread_bytes = 1
    client.say(frame(CONTINUATION, 0, 1))
    for seconds, is_cut_off in ((PATIENCE.request_timeout_s, False), (1.0, True)):
        clock.now_s += seconds
        client.connection.look(clock.now_s)
        assert client.transport.is_aborted is is_cut_off


async def test_who_still_talks_when_all_is_said_is_heard_until_it_is_silent(clock: Clock) -> None:
    """Whoever reads the last answer slowly says again and again how much more it takes."""
    client = Client(Echo(), leaves=True)
    client.say(request(1, b"x", GRPC))
    await client.heard(HEADERS, DATA, GOAWAY)
    client.say(pong(HAVE_YOU_HEARD))
    assert (client.transport.has_ended, client.connection.is_heard_out) == (True, False)
    for _ in range(20):
        clock.now_s += 0.9
        client.say(bytes(13))
        client.connection.look(clock.now_s)
        assert not client.transport.is_aborted
    client.connection.look(clock.now_s + 1.1)
    assert client.transport.is_aborted


async def test_a_connection_may_be_ended_at_once() -> None:
    client = Client(Slow())
    client.say(request(1, b"x", GRPC))
    await client.heard()
    client.connection.abort()
    client.say(request(3, b"x", GRPC))
    client.end()
    assert await client.heard(HEADERS) == []
    assert client.transport.is_aborted
