"""What a connection begins with: words that tell HTTP/2 from HTTP/1.1."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serving.connections.opening import Opening
from serving.http.patience import Patience
from serving.http.requests import Client
from serving.http1.connection import Connection as Http1Connection
from serving.http2.connection import Connection as Http2Connection
from serving.wire.http2 import CONNECTION_BEGINS, PREFACE
from tests.serving.http.stand import PATIENCE, Clock, Echo, Transport, service_of
from tests.serving.http1.stand import GET, post
from tests.serving.http2.stand import GRPC, request

WHO = ("192.0.2.7", 54321)
HTTP_1, HTTP_2 = "HTTP/1.1", "HTTP/2"


class Spoken:
    """Keeps what is said to it."""

    def __init__(self, kind: str, client: Client | None) -> None:
        self.kind = kind
        self.client = client
        self.transport: Any = None
        self.said = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert data, "said nothing"
        self.said += data


class Stand:
    """A connection whose client says bytes, and what takes its place."""

    def __init__(self, patience: Patience = PATIENCE) -> None:
        self.transport = Transport()
        self.spoken: list[Spoken] = []
        self.lost: list[Opening] = []
        self.opening = Opening(self._speak, self.lost.append, patience)
        self.opening.connection_made(self.transport)  # type: ignore[arg-type]
        self.transport.protocol = self.opening

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            if not self.transport.is_closed:
                self.transport.protocol.data_received(piece)

    def found(self) -> tuple[str, Client | None, bytes]:
        """What it speaks, who the client is, and what came behind the beginning."""
        (spoken,) = self.spoken
        assert spoken.transport is self.transport
        assert self.transport.protocol is spoken
        assert not self.transport.is_closed
        return spoken.kind, spoken.client, spoken.said

    def _speak(self, opening: Opening, client: Client | None, is_http2: bool) -> Any:
        assert opening is self.opening
        self.spoken.append(Spoken(HTTP_2 if is_http2 else HTTP_1, client))
        return self.spoken[-1]


FIRST_WORDS = {
    "GET": (GET, HTTP_1, GET),
    "POST, which begins like PRI": (post(b"x"), HTTP_1, post(b"x")),
    "PRI of no HTTP/2": (b"PRI * HTTP/1.1\r\n\r\n", HTTP_1, b"PRI * HTTP/1.1\r\n\r\n"),
    "nonsense": (b"\x16\x03\x01\0\r\n", HTTP_1, b"\x16\x03\x01\0\r\n"),
    "an empty line": (b"\r\n" + GET, HTTP_1, b"\r\n" + GET),
    "HTTP/2": (CONNECTION_BEGINS, HTTP_2, b""),
    "HTTP/2 and more": (PREFACE, HTTP_2, PREFACE[len(CONNECTION_BEGINS) :]),
}


@pytest.mark.parametrize("name", FIRST_WORDS)
async def test_a_connection_may_be_cut_anywhere(name: str) -> None:
    said, kind, rest = FIRST_WORDS[name]
    for cut in range(1, len(said)):
        stand = Stand()
        stand.say(said[:cut], said[cut:])
        assert stand.found() == (kind, WHO, rest)


@pytest.mark.parametrize("name", FIRST_WORDS)
async def test_a_connection_may_begin_byte_by_byte(name: str) -> None:
    said, kind, rest = FIRST_WORDS[name]
    stand = Stand()
    stand.say(*(bytes([byte]) for byte in said))
    assert stand.found() == (kind, WHO, rest)


@pytest.mark.parametrize("cut", [1, 2, 3, 17, 23])
async def test_nothing_is_decided_while_it_may_be_http_2(cut: int) -> None:
    stand = Stand()
    stand.say(CONNECTION_BEGINS[:cut])
    assert stand.spoken == []
    stand.say(b"X")
    if cut < len(b"PRI * HTTP/2.0"):
        assert stand.found() == (HTTP_1, WHO, CONNECTION_BEGINS[:cut] + b"X")
    else:
        assert (stand.spoken, stand.transport.is_aborted) == ([], True)


async def test_what_begins_as_http_2_and_is_none_is_left_in_silence() -> None:
    stand = Stand()
    stand.say(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", GET)
    assert (stand.spoken, stand.transport.is_aborted, stand.transport.written) == ([], True, b"")
    stand.opening.data_received(GET)
    assert stand.spoken == []


@pytest.mark.parametrize(
    ("peername", "client"),
    [
        (WHO, WHO),
        (("2001:db8::7", 5, 0, 0), ("2001:db8::7", 5)),
        (("::ffff:192.0.2.7", 54321, 0, 0), WHO),
        (None, None),
    ],
)
async def test_the_system_says_who_the_client_is(peername: Any, client: Client | None) -> None:
    stand = Stand()
    stand.transport.peername = peername
    stand.say(GET)
    assert stand.found() == (HTTP_1, client, GET)


@pytest.mark.parametrize("begun", [b"P", CONNECTION_BEGINS[:16], CONNECTION_BEGINS[:-2], CONNECTION_BEGINS[:-1]])
async def test_a_connection_that_has_begun_and_does_not_go_on_is_closed(clock: Clock, begun: bytes) -> None:
    stand = Stand()
    stand.say(begun)
    for seconds, is_left in ((10.0, False), (1.0, True)):
        clock.now_s += seconds
        stand.opening.look(clock.now_s)
        assert stand.transport.is_aborted is is_left


async def test_a_connection_has_no_more_time_to_begin_than_a_request(clock: Clock) -> None:
    stand = Stand(PATIENCE._replace(request_timeout_s=4.0))
    stand.say(b"P")
    stand.opening.look(clock.now_s + 4.0)
    assert not stand.transport.is_aborted
    stand.opening.look(clock.now_s + 5.0)
    assert stand.transport.is_aborted


async def test_a_client_that_says_nothing_is_idle(clock: Clock) -> None:
    stand = Stand(PATIENCE._replace(idle_timeout_s=50.0))
    for seconds, is_left in ((50.0, False), (1.0, True)):
        clock.now_s += seconds
        stand.opening.look(clock.now_s)
        assert stand.transport.is_aborted is is_left


async def test_a_client_has_its_time_from_its_first_byte(clock: Clock) -> None:
    stand = Stand()
    clock.now_s += 9.0
    stand.say(b"P")
    clock.now_s += 10.0
    stand.opening.look(clock.now_s)
    assert not stand.transport.is_aborted
    stand.say(b"R")
    stand.opening.look(clock.now_s + 1.0)
    assert stand.transport.is_aborted


async def test_one_without_tls_yet_is_looked_at_and_ended_in_silence(clock: Clock) -> None:
    lost: list[Opening] = []
    opening = Opening(lambda *_: Spoken(HTTP_1, None), lost.append, PATIENCE)
    opening.look(clock.now_s + 1000.0)
    opening.abort()
    assert lost == []


async def test_a_client_that_goes_before_it_has_spoken_is_forgotten() -> None:
    stand = Stand()
    stand.opening.leave()
    assert not stand.transport.is_closed
    stand.opening.connection_lost(None)
    assert (stand.lost, stand.opening.in_flight, stand.opening.requests) == ([stand.opening], 0, 0)


@pytest.mark.parametrize("kind", [Http1Connection, Http2Connection])
async def test_what_takes_its_place_answers(kind: Any) -> None:
    app, transport, lost = Echo(), Transport(), []
    service = service_of(app)

    def speak(opening: Opening, client: Client | None, is_http2: bool) -> Any:
        assert is_http2 is (kind is Http2Connection)
        return kind(service, lost.append, client, leaves=False)

    opening = Opening(speak, lost.append, PATIENCE)
    opening.connection_made(transport)  # type: ignore[arg-type]
    said = CONNECTION_BEGINS + request(1, b"x", GRPC) if kind is Http2Connection else post(b"x")
    opening.data_received(said)
    connection = transport.protocol
    for _ in range(10):
        await asyncio.sleep(0)
    assert (app.bodies, app.scopes[0]["client"]) == ([b"x"], WHO)
    connection.connection_lost(None)
    assert lost == [connection]
