"""A connection of serving/http1 without a socket: a client that says bytes, and reads its answers by h11."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import h11
import orjson

from serving.http.answering import App
from serving.http.patience import Patience
from serving.http.requests import Client as Who
from serving.http1.connection import Connection
from tests.serving.http.stand import PATIENCE, Clock, Echo, Transport, service_of

WHO: Who = ("192.0.2.7", 54321)
GET = b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n"
_ENOUGH_TURNS = 12


def head(*lines: bytes, first: bytes = b"POST /a HTTP/1.1", host: bytes = b"host: gateway") -> bytes:
    """What stands before a body; no `host` leaves that line out."""
    return b"".join(line + b"\r\n" for line in (first, *([host] if host else []), *lines)) + b"\r\n"


def post(body: bytes, *lines: bytes, first: bytes = b"POST /a HTTP/1.1") -> bytes:
    """A whole request whose body has a length."""
    return head(*lines, b"content-length: %d" % len(body), first=first) + body


def chunked(*pieces: bytes, trailers: bytes = b"") -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailers + b"\r\n"


CHUNKED = head(b"transfer-encoding: chunked")


@dataclass
class Answer:
    """One answer; what it is whole by may be the connection's end."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes = b""
    is_whole: bool = False
    asked: int = 0
    """How often the client was asked to go on before it."""
    version: bytes = b""
    names: list[bytes] = field(default_factory=list)

    @property
    def closes(self) -> bool:
        return self.headers.get(b"connection") == b"close"

    @property
    def error(self) -> str:
        """The text of a refusal."""
        assert self.headers[b"content-type"] == b"application/json"
        found = orjson.loads(self.body)
        assert list(found) == ["error"]
        return str(found["error"])


def read_answers(said: bytes, methods: Sequence[str] = (), *, has_ended: bool = False) -> list[Answer]:
    """Answers to requests of these methods; POST where there are more answers. Nothing may stand behind the last one.

    One that has only asked the client to go on has status 100.
    """
    answers: list[Answer] = []
    while said:
        method = methods[len(answers)] if len(answers) < len(methods) else "POST"
        answer, said = _read_one(said, method, has_ended=has_ended)
        answers.append(answer)
        assert answer.is_whole or not said
        assert not (said and answer.closes), "an answer behind the last"
    return answers


def _read_one(said: bytes, method: str, *, has_ended: bool) -> tuple[Answer, bytes]:
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**20)
    reader.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(said)
    if has_ended:
        reader.receive_data(b"")
    answer = Answer(100, {})
    while True:
        event: Any = reader.next_event()
        if event is h11.NEED_DATA or event is h11.PAUSED:
            return answer, b""
        if isinstance(event, h11.InformationalResponse):
            assert (event.status_code, list(event.headers)) == (100, [])
            answer.asked += 1
        elif isinstance(event, h11.Response):
            answer.status, answer.version = event.status_code, bytes(event.http_version)
            answer.headers, answer.names = dict(event.headers), [name for name, _ in event.headers]
            assert len(set(answer.names)) == len(answer.names), "the same header twice"
        elif isinstance(event, h11.Data):
            answer.body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            answer.is_whole = True
            return answer, reader.trailing_data[0]


class Whole(Echo):
    """Answers in one piece, whose length is not said."""

    status = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body = b"whole"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


class Client:
    """Who speaks to a connection."""

    def __init__(
        self, app: App | None = None, patience: Patience = PATIENCE, *, leaves: bool = False, scheme: bytes = b"http"
    ) -> None:
        self.app: Any = app or Echo()
        self.transport = Transport()
        self.lost: list[Connection] = []
        self.methods: list[str] = []
        """Of the requests, as far as they matter to who reads the answers."""
        service = service_of(self.app, patience, scheme)
        self.connection = Connection(service, self.lost.append, WHO, leaves=leaves)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        self._unread = b""

    def say(self, *pieces: bytes) -> None:
        """All that a read of the socket brings, once there is one."""
        self._unread += b"".join(pieces)
        self._read()

    async def settle(self) -> None:
        """Lets everything run that waits for nothing from outside."""
        quiet, before = 0, (-1, -1)
        while quiet < _ENOUGH_TURNS:
            await asyncio.sleep(0)
            self._read()
            now = (len(self.transport.written), self.connection.requests)
            quiet, before = (quiet + 1 if now == before else 0), now

    async def answers(self) -> list[Answer]:
        """All that has come since the beginning."""
        await self.settle()
        ended = self.state in {"ended", "closed"}
        return read_answers(bytes(self.transport.written), self.methods, has_ended=ended)

    async def answer(self) -> Answer:
        """The only one."""
        (answer,) = await self.answers()
        return answer

    async def ask(self, *pieces: bytes) -> Answer:
        """The only answer to what is said."""
        self.say(*pieces)
        return await self.answer()

    async def bodies(self) -> list[bytes]:
        """Of all answers."""
        answers = await self.answers()
        assert all(answer.is_whole for answer in answers)
        return [answer.body for answer in answers]

    @property
    def state(self) -> str:
        """What has become of the connection."""
        transport = self.transport
        if transport.is_aborted:
            return "aborted"
        if transport.is_closed:
            return "closed"
        return "ended" if transport.has_ended else "open"

    def let(self, clock: Clock, seconds: float) -> None:
        """So much time passes, seen by the connection every second."""
        until_s = clock.now_s + seconds
        while clock.now_s < until_s and not self.transport.is_closed:
            clock.now_s = min(clock.now_s + 1.0, until_s)
            self.connection.look(clock.now_s)

    def end(self) -> None:
        self.connection.connection_lost(None)

    def _read(self) -> None:
        if self.transport.is_reading and not self.transport.is_closed and self._unread:
            read, self._unread = self._unread, b""
            self.connection.data_received(read)


async def refusal_of(*said: bytes) -> str:
    """The text of the only answer, 400 unless the test says so."""
    client = Client()
    answer = await client.ask(*said)
    await is_refused(client, 400)
    return answer.error


async def is_refused(client: Client, status: int) -> None:
    """It has its answer, and the connection ends without having asked the application for anything."""
    answer = await client.answer()
    assert (answer.status, answer.is_whole, answer.closes, client.state) == (status, True, True, "ended")
    assert answer.headers[b"content-type"] == b"application/json"
    assert answer.headers.keys() >= {b"date", b"server", b"content-length"}
    assert answer.error
    assert (client.app.scopes, client.connection.in_flight) == ([], 0)
    client.say(GET)
    assert len(await client.answers()) == 1
