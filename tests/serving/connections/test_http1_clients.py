"""Clients of HTTP/1.1 at a real port, beside those of HTTP/2."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.serving.connections.test_listener import HOST, LONG_S, listening, until
from tests.serving.http.stand import Echo, Sending, Slow
from tests.serving.http1.stand import CHUNKED, GET, Answer, chunked, head, post, read_answers
from tests.serving.http2.stand import GRPC, request

MIB = 2**20
CLOSE = b"connection: close"


class Socket:
    """A client on the other side of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._came = b""

    def say(self, *pieces: bytes) -> None:
        self._writer.write(b"".join(pieces))

    async def answers(self, count: int) -> list[Answer]:
        """The next ones."""
        while True:
            found = read_answers(self._came)
            if len(found) == count and found[-1].is_whole:
                self._came = b""
                return found
            received = await asyncio.wait_for(self._reader.read(2**20), LONG_S)
            assert received, "an end before the answers"
            self._came += received

    async def until_closed(self, methods: Sequence[str] = ()) -> list[Answer]:
        """What is still said."""
        came = self._came + await asyncio.wait_for(self._reader.read(), LONG_S)
        return read_answers(came, methods, has_ended=True)

    def end(self) -> None:
        self._writer.close()


async def connect(port: int, *said: bytes) -> Socket:
    socket = Socket(*await asyncio.open_connection(HOST, port))
    socket.say(*said)
    return socket


async def test_clients_of_both_versions_are_answered() -> None:
    async with listening(Echo()) as stand:
        others = await stand.connect(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", request(1, b"other", GRPC))
        sockets = [await connect(stand.port, post(b"first %d" % number)) for number in range(20)]
        for number, socket in enumerate(sockets):
            assert [answer.body for answer in await socket.answers(1)] == [b"first %d" % number]
            socket.say(post(b"second"), CHUNKED, chunked(b"third"))
        for socket in sockets:
            assert [answer.body for answer in await socket.answers(2)] == [b"second", b"third"]
        assert await others.answer(1) == b"other"
        traffic = stand.listener.traffic()
        assert (traffic.connections, traffic.in_flight, traffic.requests) == (21, 0, 61)
        for socket in sockets:
            socket.end()
        await until(lambda: stand.listener.traffic().connections == 1)
        assert stand.listener.traffic().requests == 61


async def test_large_bodies_go_both_ways() -> None:
    sent = bytes(range(256)) * (8 * MIB // 256)
    async with listening(Echo()) as stand:
        socket = await connect(stand.port, post(sent), post(b"small"))
        assert [answer.body for answer in await socket.answers(2)] == [sent, b"small"]
        socket.say(post(sent, CLOSE))
        (last,) = await socket.until_closed()
        assert (last.body, last.is_whole, last.closes) == (sent, True, True)
        socket.end()


async def test_a_client_is_read_no_faster_than_the_application_reads() -> None:
    class Held(Slow):
        async def __call__(self, *arguments: object) -> None:
            await self.wait()
            await super().__call__(*arguments)

    app, sent = Held(), bytes(8 * MIB)
    async with listening(app) as stand:
        socket = await connect(stand.port, post(sent))
        await until(lambda: stand.listener.traffic().in_flight)
        connection = await stand.taken()
        await until(lambda: not connection._transport.is_reading())
        assert connection._held_bytes <= 2 * MIB
        app.may_answer.set()
        assert (await socket.answers(1))[0].body == sent
        socket.end()


async def test_a_client_that_reads_nothing_holds_up_only_itself() -> None:
    app = Sending(*8 * [bytes(MIB)])
    async with listening(app) as stand:
        slow, other = await connect(stand.port, GET), await connect(stand.port, head(CLOSE))
        (answer,) = await other.until_closed()
        assert (len(answer.body), answer.is_whole) == (8 * MIB, True)
        assert stand.listener.traffic().in_flight == 1
        assert len((await slow.answers(1))[0].body) == 8 * MIB
        slow.end()
        other.end()


async def test_a_client_that_goes_is_forgotten() -> None:
    app = Slow()
    async with listening(app) as stand:
        socket = await connect(stand.port, CHUNKED)
        await until(lambda: app.scopes)
        socket.end()
        await until(lambda: not stand.listener._connections)
        await until(lambda: app.left)
        assert stand.listener.traffic().in_flight == 0


async def test_a_refusal_is_read_by_who_still_sends() -> None:
    async with listening(Echo()) as stand:
        socket = await connect(stand.port, b"POST /%FF HTTP/1.1\r\nhost: a\r\ncontent-length: 9000000\r\n\r\n")
        socket.say(bytes(MIB))
        (answer,) = await socket.until_closed()
        assert (answer.status, answer.is_whole) == (400, True)
        socket.end()
        await until(lambda: not stand.listener._connections)


async def test_a_drain_ends_connections_with_their_next_answers() -> None:
    app = Slow()
    async with listening(app) as stand:
        busy, new = await connect(stand.port, GET), await connect(stand.port)
        await until(lambda: app.scopes)
        stand.listener.drain()
        new.say(GET)
        late = await connect(stand.port, GET)
        app.may_answer.set()
        for socket in (busy, new, late):
            (answer,) = await socket.until_closed()
            assert (answer.status, answer.closes) == (200, True)
            socket.end()


async def test_all_connections_end_with_the_listener() -> None:
    app = Slow()
    async with listening(app) as stand:
        sockets = [await connect(stand.port, said) for said in (CHUNKED, GET[:10], b"", GET)]
        await until(lambda: len(app.scopes) == 2 and len(stand.listener._connections) == 4)
        await stand.listener.close()
        for socket in sockets:
            assert await socket.until_closed() == []
            socket.end()
        assert stand.listener._connections == set()
        app.may_answer.set()
    assert app.left == 2


async def test_what_goes_wrong_as_one_is_looked_at_ends_only_that() -> None:
    def fail(now_s: float) -> None:
        raise ValueError("a fault of the gateway")

    async with listening(Echo()) as stand:
        first = await connect(stand.port, GET)
        await first.answers(1)
        connection = await stand.taken()
        connection.look = fail
        second = await connect(stand.port, GET)
        await second.answers(1)
        stand.listener._look()
        assert await first.until_closed() == []
        second.say(GET)
        assert len(await second.answers(1)) == 1
        first.end()
        second.end()
