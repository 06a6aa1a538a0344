"""Connections at a real port: taken, drained and closed together."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import struct
from collections.abc import AsyncIterator, Callable
from socket import SO_LINGER, SOL_SOCKET, create_connection
from socket import socket as plain_socket
from typing import Any

import pytest

from serving.connections.listener import Listener
from serving.connections.ports import listen
from serving.http2.connection import Connection
from serving.wire import http2 as frames
from serving.wire.http2 import ACK, DATA, END_STREAM, GOAWAY, HEADERS, NO_ERROR, PING, Frame, FrameReader
from tests.serving.http.stand import Echo, Slow, service_of
from tests.serving.http2.stand import GRPC, data, frame, headers, request

BEGINNING = frames.CONNECTION_BEGINS
HOST = "127.0.0.1"
HAVE_YOU_HEARD = b"go away?"
MIB = 2**20
LONG_S = 60.0
"""So that what never comes fails a test, and does not hang it."""


async def until(holds: Callable[[], object]) -> None:
    """Lets others run until it holds."""
    for _ in iter(lambda: bool(holds()), True):
        await asyncio.sleep(0)


class Socket:
    """A client on the other side of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader()
        self._came: list[Frame] = []

    def say(self, *pieces: bytes) -> None:
        self._writer.write(b"".join(pieces))

    async def frame(self, *kinds: int) -> Frame:
        """The next one of these kinds."""
        while True:
            while self._came:
                one = self._came.pop(0)
                if one.kind in kinds:
                    return one
            received = await asyncio.wait_for(self._reader.read(65_536), LONG_S)
            if not received:
                raise EOFError
            self._came += self._frames.feed(received)

    async def answer(self, stream: int) -> bytes:
        """The body of the next answer, which has to be that of this stream."""
        body = b""
        while True:
            one = await self.frame(HEADERS, DATA)
            assert one.stream == stream
            body += one.payload if one.kind == DATA else b""
            if one.flags & END_STREAM:
                return body

    async def until_closed(self) -> list[Frame]:
        """What is still said."""
        came = []
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                came.append(await self.frame(*range(10)))
        return came

    def end(self) -> None:
        self._writer.close()


class Stand:
    """A listener and those who connect to it."""

    def __init__(self, listener: Listener, port: int) -> None:
        self.listener = listener
        self.port = port
        self._sockets: list[Socket] = []

    async def connect(self, *said: bytes) -> Socket:
        socket = Socket(*await asyncio.open_connection(HOST, self.port))
        self._sockets.append(socket)
        socket.say(*said)
        return socket

    async def taken(self) -> Any:
        """The only connection, once it has been accepted."""
        await until(lambda: self.listener._connections)
        (connection,) = self.listener._connections
        return connection

    def end(self) -> None:
        for socket in self._sockets:
            socket.end()


@contextlib.asynccontextmanager
async def listening(app: Echo, max_connections: int = 1000) -> AsyncIterator[Stand]:
    listener = Listener(service_of(app), max_connections)
    socket = listen(HOST, 0)
    stand = Stand(listener, socket.getsockname()[1])
    listener.open([socket])
    try:
        yield stand
    finally:
        await listener.close()
        stand.end()


async def test_calls_of_many_clients_are_answered() -> None:
    async with listening(Echo()) as stand:
        sockets = [await stand.connect(BEGINNING) for _ in range(20)]
        for stream in (1, 3):
            for number, socket in enumerate(sockets):
                socket.say(request(stream, b"%d of %d" % (stream, number), GRPC))
        for number, socket in enumerate(sockets):
            assert [await socket.answer(stream) for stream in (1, 3)] == [b"%d of %d" % (s, number) for s in (1, 3)]


async def test_large_bodies_go_both_ways() -> None:
    sent = bytes(range(256)) * 4096
    async with listening(Echo()) as stand:
        socket = await stand.connect(frames.PREFACE)
        socket.say(headers(1, GRPC))
        socket.say(*(data(1, sent[at : at + 16_384], ends=at + 16_384 == MIB) for at in range(0, MIB, 16_384)))
        assert await socket.answer(1) == sent


async def test_a_client_that_goes_is_forgotten() -> None:
    app = Slow()
    async with listening(app) as stand:
        socket = await stand.connect(BEGINNING, request(1, b"x", GRPC))
        await until(lambda: app.scopes)
        connection = await stand.taken()
        socket.end()
        await until(lambda: not stand.listener._connections)
        await until(lambda: app.left)
        assert not connection._streams


async def test_all_are_told_to_go_when_the_listener_drains() -> None:
    app = Slow()
    async with listening(app) as stand:
        busy, idle = await stand.connect(BEGINNING, request(1, b"x", GRPC)), await stand.connect(BEGINNING)
        for socket in (busy, idle):
            socket.say(frame(PING, 0, 0, b"12345678"))
            await socket.frame(PING)
        stand.listener.drain()
        for socket in (busy, idle):
            goaway = await socket.frame(GOAWAY)
            assert frames.decode_number(goaway.payload) == frames.LAST_STREAM
            assert (await socket.frame(PING)).payload == HAVE_YOU_HEARD
            socket.say(frame(PING, ACK, 0, HAVE_YOU_HEARD))
        assert {one.kind for one in await idle.until_closed()} == {GOAWAY}
        app.may_answer.set()
        assert await busy.answer(1) == b"x"
        assert {one.kind for one in await busy.until_closed()} == {GOAWAY}


async def test_who_comes_while_the_listener_drains_is_answered_and_told_to_go() -> None:
    async with listening(Echo()) as stand:
        stand.listener.drain()
        socket = await stand.connect(BEGINNING, request(1, b"x", GRPC))
        assert await socket.answer(1) == b"x"
        assert frames.decode_number((await socket.frame(GOAWAY)).payload) == frames.LAST_STREAM


async def test_who_had_connected_but_said_nothing_when_the_listener_drained_is_told_too() -> None:
    async with listening(Echo()) as stand:
        socket = await stand.connect()
        await stand.taken()
        stand.listener.drain()
        socket.say(BEGINNING, request(1, b"x", GRPC))
        assert await socket.answer(1) == b"x"
        assert frames.decode_number((await socket.frame(GOAWAY)).payload) == frames.LAST_STREAM


async def test_all_connections_end_with_the_listener() -> None:
    app = Slow()
    async with listening(app) as stand:
        socket, silent = await stand.connect(BEGINNING, request(1, b"x", GRPC)), await stand.connect()
        await until(lambda: app.scopes and len(stand.listener._connections) == 2)
        await stand.listener.close()
        await silent.until_closed()
        await socket.until_closed()
        assert stand.listener._connections == set()
        with pytest.raises(ConnectionError):
            await stand.connect()
    assert app.left == 1


async def test_where_too_many_files_are_open_connections_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Full:
        """A socket that listens, in a process that may open no more files."""

        def __init__(self, socket: Any) -> None:
            self.fileno = socket.fileno

        def accept(self) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("serving.connections.listener._LOOK_EVERY_S", 0.0)
    async with listening(Echo()) as stand:
        (listening_socket,) = stand.listener._listening
        stand.listener._take_some(Full(listening_socket))  # type: ignore[arg-type]
        assert not asyncio.get_running_loop().remove_reader(listening_socket)
        socket = await stand.connect(BEGINNING, request(1, b"x", GRPC))
        assert await socket.answer(1)
    assert "connections have to wait" in caplog.text


async def test_the_last_answer_is_not_cut_off_where_the_client_reads_slowly() -> None:
    """It still lies in the transport when the connection, which has nothing else to do, is looked at."""
    app, sent = Slow(), bytes(500_000)
    async with listening(app) as stand:
        socket = await stand.connect(BEGINNING, frames.PREFACE.removeprefix(frames.CONNECTION_BEGINS), headers(1))
        socket.say(*(data(1, sent[at : at + 16_000]) for at in range(0, len(sent), 16_000)), data(1, b"", ends=True))
        await until(lambda: app.bodies)
        stand.listener.drain()
        socket.say(frame(PING, ACK, 0, HAVE_YOU_HEARD))
        last = [frames.decode_number((await socket.frame(GOAWAY)).payload) for _ in range(2)]
        assert last == [frames.LAST_STREAM, 1]
        connection = await stand.taken()
        app.may_answer.set()
        await until(lambda: not connection._streams)
        stand.listener._look()
        assert await socket.answer(1) == sent
        assert {one.kind for one in await socket.until_closed()} == {GOAWAY}


async def test_it_looks_at_its_connections_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.connections.listener._LOOK_EVERY_S", 0.0)
    looks: asyncio.Queue[float] = asyncio.Queue()
    monkeypatch.setattr(Connection, "look", lambda connection, now_s: looks.put_nowait(now_s))
    async with listening(Echo()) as stand:
        await stand.connect(BEGINNING)
        assert await looks.get() <= await looks.get() <= asyncio.get_running_loop().time()


async def test_the_date_is_renewed_as_it_looks() -> None:
    async with listening(Echo()) as stand:
        signature = stand.listener._service.signature
        before = signature.headers, signature.lines
        stand.listener._look()
        assert signature.headers is not before[0]
        assert signature.lines is not before[1]


async def test_a_goodbye_is_heard_before_the_end() -> None:
    async with listening(Echo()) as stand:
        socket = await stand.connect(BEGINNING, frame(frames.PUSH_PROMISE, 0, 1))
        goaway = (await socket.until_closed())[-1]
        assert goaway.kind == GOAWAY
        assert frames.decode_number(goaway.payload, 4) == frames.PROTOCOL_ERROR != NO_ERROR


async def test_who_was_connected_when_the_ports_are_closed_is_answered() -> None:
    """Even one that the system has taken and nobody has seen yet."""
    async with listening(Echo()) as stand:
        sockets = [await stand.connect() for _ in range(3)]
        stand.listener.stop_taking()
        with pytest.raises(ConnectionError):
            await stand.connect()
        assert stand.listener.traffic().connections == 3
        for socket in sockets:
            socket.say(BEGINNING, request(1, b"x", GRPC))
            assert await socket.answer(1) == b"x"


async def test_ports_that_open_after_they_were_to_be_closed_stay_closed() -> None:
    async with listening(Echo()) as stand:
        stand.listener.stop_taking()
        late = listen(HOST, 0)
        port = late.getsockname()[1]
        stand.listener.open([late])
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(HOST, port)


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN])
async def test_a_connection_that_is_no_more_keeps_no_other_waiting(number: int) -> None:
    class Broken:
        """Says so of its first connection."""

        def __init__(self, socket: Any) -> None:
            self._accepts = iter([self._fail, socket.accept])

        def accept(self) -> Any:
            return next(self._accepts)()

        def _fail(self) -> None:
            raise OSError(number, "no more")

    async with listening(Echo()) as stand:
        (listening_socket,) = stand.listener._listening
        broken: Any = Broken(listening_socket)
        assert stand.listener._take_one(broken)
        assert not stand.listener._take_one(broken)


async def test_one_connection_too_many_is_closed_at_once() -> None:
    async with listening(Echo(), max_connections=2) as stand:
        first, second = [await stand.connect(BEGINNING, request(1, b"x", GRPC)) for _ in range(2)]
        assert [await socket.answer(1) for socket in (first, second)] == [b"x", b"x"]
        assert await (await stand.connect(BEGINNING)).until_closed() == []
        first.end()
        await until(lambda: stand.listener.traffic().connections == 1)
        third = await stand.connect(BEGINNING, request(1, b"y", GRPC))
        assert await third.answer(1) == b"y"


async def test_a_client_that_is_gone_before_it_is_seen_is_forgotten() -> None:
    async with listening(Echo()) as stand:
        for _ in range(3):
            with socket_of(stand) as client:
                client.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))  # it ends with RST
        other = await stand.connect(BEGINNING, request(1, b"x", GRPC))
        assert await other.answer(1) == b"x"
        await until(lambda: stand.listener.traffic().connections == 1)


async def test_what_is_still_to_be_said_to_a_client_that_has_left_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    app = Slow()
    async with listening(app) as stand:
        await stand.connect(BEGINNING, request(1, b"x", GRPC))
        await until(lambda: app.scopes)
        connection = await stand.taken()
        connection._transport.abort()
        connection.outbox.write(frame(PING, 0, 0, b"12345678"))
        await until(lambda: app.left)
        await asyncio.sleep(0)
    assert caplog.records == []


async def test_a_client_that_is_left_while_it_sends_hears_why() -> None:
    """It is not cut off by the system for what was not read."""
    async with listening(Echo()) as stand:
        socket = await stand.connect(BEGINNING, frame(frames.PUSH_PROMISE, 0, 1), bytes(16 * MIB))
        assert [one.kind for one in await socket.until_closed()][-1] == GOAWAY
        assert stand.listener.traffic().connections == 1
        socket.end()
        await until(lambda: not stand.listener.traffic().connections)


def socket_of(stand: Stand) -> plain_socket:
    return create_connection((HOST, stand.port))
