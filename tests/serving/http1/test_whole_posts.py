"""POSTs that are there as a whole, and are answered as a whole."""

from __future__ import annotations

import asyncio
import gc
import gzip
import warnings
from typing import Any

import pytest

from serving.frontends.http import WholeAnswer
from serving.http.answering import WHOLE_BYTES
from tests.serving.http.stand import Prompt
from tests.serving.http1.stand import CHUNKED, GET, Client, chunked, head, post


class Waiting(Prompt):
    """Answers nothing."""

    async def wait(self) -> None:
        await asyncio.Event().wait()


async def test_a_post_that_is_there_is_answered_as_a_whole() -> None:
    client = Client(Prompt(3))
    client.say(post(b"question"), CHUNKED, chunked(b"in", b"chunks"))
    assert await client.bodies() == [b"question", b"inchunks"]
    first, second = await client.answers()
    assert (first.headers[b"content-length"], second.headers[b"content-length"]) == (b"8", b"8")
    assert client.app.whole == [b"question", b"inchunks"]
    assert client.state == "open"


async def test_a_post_is_waited_for_where_its_length_is_known() -> None:
    client = Client(Prompt())
    for byte in post(b"question"):
        client.say(bytes([byte]))
        await client.settle()
    assert (await client.answer()).body == b"question"
    assert client.app.whole == [b"question"]


@pytest.mark.parametrize(
    "said",
    [
        [GET],
        [head(b"content-length: 3"), b""],
        [post(bytes(WHOLE_BYTES + 1))],
        [CHUNKED, chunked(b"abc")],
        [head(b"expect: 100-continue", b"content-length: 3"), b"abc"],
        [post(b"abc", first=b"PUT / HTTP/1.1")],
    ],
)
async def test_another_request_is_received(said: list[bytes]) -> None:
    client = Client(Prompt())
    for piece in said:
        client.say(piece)
        await client.settle()
    if said[-1]:
        assert (await client.answers())[-1].status in {100, 200}
        assert len(client.app.bodies) == 1
    assert client.app.whole == []


async def test_an_answer_has_its_own_status_and_is_compressed_where_it_is_large() -> None:
    class Refusing(Prompt):
        async def _repeat(self, body: bytes) -> WholeAnswer:
            return WholeAnswer(((b"content-type", b"application/json"),), (bytes(100_000),), status=429)

    client = Client(Refusing())
    client.say(post(b"x", b"accept-encoding: gzip"))
    while not (found := await client.answers()):
        pass
    assert (found[0].status, found[0].headers[b"content-encoding"]) == (429, b"gzip")
    assert gzip.decompress(found[0].body) == bytes(100_000)
    client.say(post(b"x"))
    assert (await client.answers())[1].body == bytes(100_000)


async def test_a_client_that_leaves_ends_the_work_for_it() -> None:
    client = Client(Waiting())
    client.say(post(b"x"))
    await client.settle()
    client.end()
    await client.settle()
    assert (client.app.left, client.connection.in_flight, client.transport.written) == (1, 0, b"")


async def test_a_client_that_leaves_at_once_leaves_nothing_behind() -> None:
    client = Client(Prompt())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client.say(post(b"x"))
        client.end()
        await client.settle()
        gc.collect()
    assert [str(one.message) for one in caught] == []


async def test_a_failure_is_answered_for(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Prompt):
        async def wait(self) -> None:
            raise ValueError("a fault of the application")

    client = Client(Failing())
    answer = await client.ask(post(b"x"))
    assert (answer.status, answer.closes, client.state) == (500, True, "ended")
    assert "a fault of the application" in caplog.text


async def test_a_way_that_fails_before_it_waits_harms_only_its_own_connection() -> None:
    class Broken(Prompt):
        def answer_post(self, scope: Any, body: bytes) -> Any:
            raise ValueError("a fault of the application")

    client = Client(Broken())
    client.say(GET, post(b"x"))
    await client.settle()
    assert client.state == "aborted"
