"""What becomes of requests whose client leaves, and of clients whose application fails."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import weakref
from typing import Any

import pytest

from tests.serving.http.stand import Echo, Slow
from tests.serving.http1.stand import CHUNKED, GET, Client, head, post


async def test_an_application_that_waits_for_a_client_that_leaves_is_told() -> None:
    client = Client()
    client.say(CHUNKED, b"3\r\nabc\r\n")
    await client.settle()
    client.end()
    assert (client.lost, client.connection.in_flight) == ([client.connection], 0)
    await client.settle()
    assert (client.app.left, client.app.bodies) == (1, [])


async def test_an_application_that_answers_a_client_that_leaves_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(Slow())
    client.say(GET)
    await client.settle()
    client.end()
    await client.settle()
    assert (client.app.left, client.connection.in_flight, client.transport.written) == (1, 0, b"")
    assert caplog.records == []


async def test_an_application_that_sends_to_a_client_that_has_left_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class Late(Echo):
        failed = False

        async def wait(self) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            try:
                await super().__call__(scope, receive, send)
            except OSError:
                self.failed = True
                raise

    client = Client(Late())
    client.say(GET)
    await client.settle()
    client.end()
    await client.settle()
    assert (client.app.failed, client.connection.in_flight, client.transport.written) == (True, 0, b"")
    assert caplog.records == []


@pytest.mark.parametrize("said", [b"", b"GET", GET[:-2], head(b"content-length: 3"), head(b"content-length: 3") + b"a"])
async def test_a_client_may_leave_before_its_request_is_there(said: bytes) -> None:
    client = Client()
    client.say(said)
    await client.settle()
    client.end()
    await client.settle()
    assert (client.lost, client.connection.in_flight) == ([client.connection], 0)
    assert (client.app.scopes, client.transport.written) == ([], b"")


async def test_an_application_that_fails_before_its_answer_is_answered_for(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Echo):
        async def wait(self) -> None:
            raise ValueError("a fault of the application")

    client = Client(Failing())
    with caplog.at_level(logging.ERROR):
        answer = await client.ask(GET)
    assert (answer.status, answer.closes, client.state, client.connection.in_flight) == (500, True, "ended", 0)
    assert answer.error == "internal error; the gateway's log has the details"
    assert "a fault of the application" in caplog.text


@pytest.mark.parametrize("fails", [True, False], ids=["raises", "returns"])
async def test_an_answer_that_is_not_finished_is_cut_off(fails: bool, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            if fails:
                raise ValueError("a fault of the application")

    client = Client(Failing())
    answer = await client.ask(GET)
    assert (answer.body, answer.is_whole, client.state) == (b"begun", False, "aborted")
    client.end()
    assert client.connection.in_flight == 0
    assert ("a fault of the application" in caplog.text) is fails


async def test_an_application_that_answers_nothing_is_answered_for() -> None:
    class Silent(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})

    client = Client(Silent())
    answer = await client.ask(GET)
    assert (answer.status, client.state) == (500, "ended")


async def test_an_application_that_fails_after_its_answer_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)
            raise ValueError("a fault of the application")

    client = Client(Failing())
    client.say(post(b"a"), post(b"b"))
    assert await client.bodies() == [b"a", b"b"]
    assert len(caplog.records) == 2
    assert client.state == "open"


async def test_what_was_held_for_a_client_that_has_left_is_let_go_at_once() -> None:
    class Held:
        """What an application holds while it answers."""

    held: list[weakref.ref[Held]] = []

    class Holding(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            body = Held()
            held.append(weakref.ref(body))
            await asyncio.Event().wait()

    client = Client(Holding())
    gc.collect()
    gc.disable()
    try:
        client.say(GET)
        await client.settle()
        assert held[0]() is not None
        client.end()
        await client.settle()
        assert held[0]() is None
    finally:
        gc.enable()
