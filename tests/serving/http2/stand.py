"""A connection of serving/http2 without a socket: a client that says bytes and checks what it hears, and applications."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import hpack

from serving.http2.connection import App, Connection, Patience
from serving.wire import http2 as frames
from serving.wire.http2 import CONNECTION_BEGINS, Frame, FrameReader, encode_fields, frame_head, settings_frame

PATIENCE = Patience(request_timeout_s=120.0, idle_timeout_s=900.0, max_connection_age_s=0.0)
PROXY = b"PROXY TCP4 192.0.2.7 198.51.100.1 54321 8500\r\n"
BEGINNING = PROXY + CONNECTION_BEGINS
USUAL = {":method": "POST", ":scheme": "http", ":path": "/a.B/C", ":authority": "gateway"}
GRPC = {**USUAL, "te": "trailers", "content-type": "application/grpc"}
_ENOUGH_TURNS = 12

Fields = Mapping[str, str] | Sequence[tuple[str, str]]


def block(fields: Fields) -> bytes:
    """A header block that needs no table."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    return encode_fields([(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs])


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return frame_head(kind, flags, stream, len(payload)) + payload


def headers(stream: int, fields: Fields = USUAL, *, ends: bool = False) -> bytes:
    """A request's headers in one frame."""
    return frame(frames.HEADERS, frames.END_HEADERS | (frames.END_STREAM if ends else 0), stream, block(fields))


def data(stream: int, payload: bytes, *, ends: bool = False) -> bytes:
    return frame(frames.DATA, frames.END_STREAM if ends else 0, stream, payload)


def request(stream: int, body: bytes = b"", fields: Fields = USUAL) -> bytes:
    """A whole request, with a body of one frame."""
    return headers(stream, fields, ends=not body) + (data(stream, body, ends=True) if body else b"")


@dataclass
class Answer:
    """What came of an answer; `reset` is the error code of RST_STREAM."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    is_whole: bool = False
    reset: int | None = None

    @property
    def status(self) -> bytes:
        return dict(self.headers)[b":status"]


class Transport:
    """Keeps what is written to it; tells nobody that it was closed."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_closed = self.is_aborted = False

    def write(self, piece: bytes) -> None:
        assert not self.is_closed, "written after the connection was closed"
        self.written += piece

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True


async def settle() -> None:
    """Lets everything run that waits for nothing from outside."""
    for _ in range(_ENOUGH_TURNS):
        await asyncio.sleep(0)


class Client:
    """Who speaks to a connection. What comes must keep to the frame sizes and windows that were given."""

    def __init__(
        self, app: App, patience: Patience = PATIENCE, *, leaves: bool = False, beginning: bytes = BEGINNING
    ) -> None:
        self.transport = Transport()
        self.lost: list[Connection] = []
        self.connection = Connection(app, patience, self.lost.append, leaves=leaves)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        self.answers: dict[int, Answer] = {}
        self._reader = FrameReader()
        self._decoder = hpack.Decoder()
        self._window = self._first_window = frames.DEFAULT_WINDOW_BYTES
        self._windows: dict[int, int] = {}
        self._said_settings: list[Mapping[int, int]] = []
        self._block: tuple[Frame, bytes] | None = None
        if beginning:
            self.say(beginning)

    def say(self, *pieces: bytes) -> None:
        """All that a read of the socket brings."""
        self.connection.data_received(b"".join(pieces))

    def set(self, settings: Mapping[int, int]) -> None:
        self._said_settings.append(settings)
        self.say(settings_frame(settings))

    def credit(self, stream: int, credit_bytes: int) -> None:
        if stream:
            self._windows[stream] = self._windows.get(stream, self._first_window) + credit_bytes
        else:
            self._window += credit_bytes
        self.say(frames.number_frame(frames.WINDOW_UPDATE, stream, credit_bytes))

    async def heard(self, *kinds: int) -> list[Frame]:
        """What has come since this was last asked, of these kinds where there are any."""
        await settle()
        written, self.transport.written = bytes(self.transport.written), bytearray()
        came = self._reader.feed(written)
        for one in came:
            self._note(one)
        return [one for one in came if not kinds or one.kind in kinds]

    async def goaway(self) -> tuple[int, int]:
        """The last stream and the error code of the last GOAWAY that has come now."""
        payload = (await self.heard(frames.GOAWAY))[-1].payload
        return frames.decode_number(payload), frames.decode_number(payload, 4)

    async def answer(self, stream: int) -> Answer:
        """What has come of an answer by now."""
        await self.heard()
        return self.answers.get(stream, Answer())

    def end(self) -> None:
        self.connection.connection_lost(None)

    def _note(self, one: Frame) -> None:
        answer = self.answers.setdefault(one.stream, Answer()) if one.stream else Answer()
        if self._block is not None:
            assert (one.kind, one.stream) == (frames.CONTINUATION, self._block[0].stream)
        if one.kind in {frames.HEADERS, frames.CONTINUATION}:
            first, before = self._block or (one, b"")
            self._block = first, before + one.payload
            if one.flags & frames.END_HEADERS:
                self._note_block(answer, first)
        elif one.kind == frames.DATA:
            assert answer.headers
            assert not answer.is_whole
            self._take_data(one)
            answer.body += one.payload
            answer.is_whole = bool(one.flags & frames.END_STREAM)
        elif one.kind == frames.RST_STREAM:
            answer.reset = frames.decode_number(one.payload)
        elif one.kind == frames.SETTINGS and one.flags & frames.ACK and self._said_settings:
            first_window = self._said_settings.pop(0).get(frames.INITIAL_WINDOW_SIZE, self._first_window)
            for stream in self._windows:
                self._windows[stream] += first_window - self._first_window
            self._first_window = first_window

    def _note_block(self, answer: Answer, first: Frame) -> None:
        assert self._block is not None
        assert not answer.is_whole
        fields = [tuple(one) for one in self._decoder.decode(self._block[1], raw=True)]
        if (b":status", b"100") not in fields:
            if answer.headers:
                answer.trailers = fields
            else:
                answer.headers = fields
        answer.is_whole = bool(first.flags & frames.END_STREAM)
        self._block = None
        self._windows.setdefault(first.stream, self._first_window)

    def _take_data(self, one: Frame) -> None:
        size = len(one.payload)
        if size:
            assert size <= self._windows[one.stream], "more than the stream's window"
            assert size <= self._window, "more than the connection's window"
        self._windows[one.stream] -= size
        self._window -= size


class Echo:
    """Answers with what it is asked: gRPC calls that are there as a whole, and others by `receive` and `send`."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.whole: list[bytes] = []
        """Bodies of those that were answered without `receive`."""
        self.left = 0
        """Requests whose client left before they were answered."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return
            body, more = body + message["body"], message["more_body"]
        self.bodies.append(body)
        await self.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": body})

    def answer_whole(self, scope: Any, body: bytes) -> Any:
        self.scopes.append(scope)
        self.bodies.append(body)
        self.whole.append(body)
        return self._echo(body)

    async def wait(self) -> None:
        """Before each answer."""

    async def _echo(self, body: bytes) -> Any:
        try:
            await self.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        return ((b"content-type", b"application/grpc"),), (body,), ((b"grpc-status", b"0"),)


class Slow(Echo):
    """Answers nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()

    async def wait(self) -> None:
        await self.may_answer.wait()


class Sending(Echo):
    """Answers with a body of its own, in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__()
        self._pieces = pieces
        self.sent = 0
        """How many pieces the client, or the system for it, has taken."""
        self.failed = False

    def answer_whole(self, scope: Any, body: bytes) -> Any:
        return None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for piece in self._pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                self.sent += 1
            await send({"type": "http.response.body", "body": b""})
        except OSError:
            self.failed = True
            raise

