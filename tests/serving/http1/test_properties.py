"""Whatever comes, in whatever pieces: nothing is raised or left behind, and what is valid is answered exactly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from tests.serving.http.stand import Echo, Prompt, Sending, Slow
from tests.serving.http1.stand import CHUNKED, GET, Client, chunked, head, post, read_answers

Step = Callable[[Client], None]


class Conversation(NamedTuple):
    """What a client says, its methods, and the bodies that it sends by that."""

    said: list[bytes]
    methods: list[str]
    bodies: list[bytes]


bodies = st.one_of(st.binary(max_size=40), st.integers(0, 3000).map(lambda size: b"0\r\n\r\n" + b"GET / " * size))
lines = st.lists(st.sampled_from([b"x: y", b"X-Long: " + b"v" * 300, b"x-empty:", b"expect: 100-continue"]), max_size=3)
empty_lines = st.sampled_from([b"", b"", b"\r\n", b"\r\n\r\n"])


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Requests that keep the connection: by length, in chunks with extensions and trailers, and without a body."""
    found = Conversation([], [], [])
    for _ in range(draw(st.integers(1, 5))):
        kind, more = draw(st.sampled_from(["length", "chunks", "none", "HEAD"])), draw(lines)
        body = draw(bodies) if kind in {"length", "chunks"} else b""
        if kind == "length":
            said = post(body, *more)
        elif kind == "chunks":
            at = draw(st.integers(1, len(body))) if body else 0
            pieces = [piece for piece in (body[:at], body[at:]) if piece]
            trailers = draw(st.sampled_from([b"", b"x: y\r\n"]))
            said = head(*more, b"transfer-encoding: chunked") + chunked(*pieces, trailers=trailers)
        else:
            said = head(*more, first=b"HEAD / HTTP/1.1" if kind == "HEAD" else b"GET / HTTP/1.1")
        found.said.append(draw(empty_lines) + said)
        found.methods.append("HEAD" if kind == "HEAD" else "POST")
        found.bodies.append(body)
    return found


def cut(said: bytes, sizes: list[int]) -> Iterable[bytes]:
    """The bytes in pieces of these sizes, again and again."""
    at = turn = 0
    while at < len(said):
        size = sizes[turn % len(sizes)]
        yield said[at : at + size]
        at, turn = at + size, turn + 1


def merged(found: Conversation) -> list[bytes]:
    """Requests as they may come together: nothing comes behind chunks before these are answered."""
    together: list[bytes] = [b""]
    for one in found.said:
        together[-1] += one
        if b"transfer-encoding: chunked" in one:
            together.append(b"")
    return [one for one in together if one]


async def left_behind(app: Echo, steps: Iterable[Step | None]) -> None:
    """Plays these steps, None for a turn of the event loop, and expects that nothing is left of the connection then."""
    client = Client(app)
    for step in [*steps, None]:
        if client.transport.is_closed:
            break
        if step is None:
            await asyncio.sleep(0)
        else:
            step(client)
    await asyncio.sleep(0)
    connection = client.connection
    if client.state == "open" and not (connection.in_flight or connection._beginning or connection._waiting):
        client.say(GET)
        assert connection.in_flight == 1, "it waits for nothing, and is not there for another request"
    if client.state in {"ended", "closed"}:
        assert not connection.in_flight
    client.end()
    assert not connection.in_flight
    assert client.lost == [connection]
    if isinstance(app, Slow):
        app.may_answer.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    ended = client.state in {"ended", "closed"}
    for answer in read_answers(bytes(client.transport.written), has_ended=ended):
        assert answer.status in {100, 200, 400, 404, 408, 431, 501}
        assert answer.status in {100, 200} or answer.error


def say(piece: bytes) -> Step:
    return lambda client: client.say(piece)


def look(seconds: float) -> Step:
    return lambda client: client.connection.look(asyncio.get_running_loop().time() + seconds)


apps = st.sampled_from([Echo, Slow, Prompt, lambda: Echo(100), lambda: Sending(b"a" * 70_000, b"b")])
turns = st.none()
some_bytes = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"\r\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\n", b"host: a\r\n", b"transfer-encoding: chunked\r\n", b"0\r\n\r\n"]
    ),
    st.sampled_from([GET, CHUNKED, post(b"abc"), head(b"expect: 100-continue", b"content-length: 3"), b"3\r\nabc\r\n"]),
    st.sampled_from([b"x" * 70_000, GET * 2000, b"x: y\r\n" * 60]),
)
events = st.one_of(
    turns,
    some_bytes.map(say),
    some_bytes.map(say),
    st.sampled_from([0.5, 5.0, 15.0, 130.0, 1000.0]).map(look),
    st.sampled_from(
        [
            lambda client: client.connection.pause_writing(),
            lambda client: client.connection.resume_writing(),
            lambda client: client.connection.leave(),
            lambda client: client.connection.abort(),
        ]
    ),
)


@given(apps, st.lists(st.one_of(turns, some_bytes.map(say)), max_size=20))
def test_whatever_bytes_come_nothing_is_raised_or_left_behind(app: Callable[[], Echo], steps: list[Any]) -> None:
    asyncio.run(left_behind(app(), steps))


@given(
    apps,
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.lists(st.integers(1, 200), min_size=1, max_size=5),
)
def test_requests_that_are_damaged_underway_raise_nothing_and_leave_nothing_behind(
    app: Callable[[], Echo], damage: list[tuple[int, int]], sizes: list[int]
) -> None:
    said = bytearray(post(b"question") + CHUNKED + chunked(b"abc", b"defg", trailers=b"x: y\r\n") + GET)
    for at, byte in damage:
        said[at % len(said)] = byte
    asyncio.run(left_behind(app(), [say(piece) for piece in cut(bytes(said), sizes)]))


@given(apps, st.lists(events, max_size=30))
def test_whatever_happens_nothing_is_raised_or_left_behind(app: Callable[[], Echo], steps: list[Any]) -> None:
    asyncio.run(left_behind(app(), steps))


@given(
    conversations(),
    st.lists(st.integers(1, 3000), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=1, max_size=5),
    st.sampled_from([lambda: Echo(1000), lambda: Echo(77), Prompt]),
    st.booleans(),
)
def test_requests_reach_the_application_and_their_answers_the_client_exactly(
    found: Conversation, sizes: list[int], waits: list[bool], app: Callable[[], Echo], pauses: bool
) -> None:
    """In any pieces, with turns between them or not, and however the system takes the answers."""

    async def talk() -> None:
        client = Client(app())
        client.methods = found.methods
        if pauses:
            client.transport.after_write = client.connection.pause_writing
        turn = 0
        for together in merged(found):
            for piece in cut(together, sizes):
                client.say(piece)
                turn += 1
                if waits[turn % len(waits)]:
                    await asyncio.sleep(0)
            await client.settle()
            while client.connection.is_writing_paused:
                client.connection.resume_writing()
                await client.settle()
        assert client.app.bodies == found.bodies
        answers = await client.answers()
        for answer, method, body in zip(answers, found.methods, found.bodies, strict=True):
            assert (answer.status, answer.is_whole, answer.closes) == (200, True, False)
            assert answer.body == (b"" if method == "HEAD" else body)
        assert (client.state, client.connection.in_flight) == ("open", 0)
        assert (client.connection.requests, client.transport.is_reading) == (len(found.said), True)
        client.end()

    asyncio.run(talk())
