"""A connection of serving/http2 without a socket: a client that says bytes and checks what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import hpack

from serving.http.answering import App
from serving.http.patience import Patience
from serving.http.requests import Client as Who
from serving.http2.connection import Connection
from serving.wire import http2 as frames
from serving.wire.http2 import Frame, FrameReader, encode_fields, frame_head, settings_frame
from tests.serving.http.stand import PATIENCE, Transport, service_of

WHO: Who = ("192.0.2.7", 54321)
USUAL = {":method": "POST", ":scheme": "http", ":path": "/a.B/C", ":authority": "gateway"}
GRPC = {**USUAL, "te": "trailers", "content-type": "application/grpc"}
_ENOUGH_TURNS, _MOST_TURNS = 12, 1000

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
    body: bytearray = field(default_factory=bytearray)
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    is_whole: bool = False
    reset: int | None = None

    @property
    def status(self) -> bytes:
        return dict(self.headers)[b":status"]


class Client:
    """Who speaks to a connection. What comes must keep to the frame sizes and windows that were given."""

    def __init__(self, app: App, patience: Patience = PATIENCE, *, leaves: bool = False) -> None:
        self.transport = Transport()
        self.lost: list[Connection] = []
        self.connection = Connection(service_of(app, patience), self.lost.append, WHO, leaves=leaves)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        self.answers: dict[int, Answer] = {}
        self._unread = b""
        self._reader = FrameReader()
        self._decoder = hpack.Decoder()
        self._window = self._first_window = frames.DEFAULT_WINDOW_BYTES
        self._windows: dict[int, int] = {}
        self._said_settings: list[Mapping[int, int]] = []
        self._block: tuple[Frame, bytes] | None = None

    def say(self, *pieces: bytes) -> None:
        """All that a read of the socket brings, once there is one."""
        self._unread += b"".join(pieces)
        self._read()

    def set(self, settings: Mapping[int, int]) -> None:
        self._said_settings.append(settings)
        if frames.MAX_FRAME_SIZE in settings:
            self._reader = FrameReader(settings[frames.MAX_FRAME_SIZE])
        self.say(settings_frame(settings))

    def credit(self, stream: int, credit_bytes: int) -> None:
        if stream:
            self._windows[stream] = self._windows.get(stream, self._first_window) + credit_bytes
        else:
            self._window += credit_bytes
        self.say(frames.number_frame(frames.WINDOW_UPDATE, stream, credit_bytes))

    async def settle(self) -> None:
        """Lets everything run that waits for nothing from outside."""
        quiet = 0
        for _ in range(_MOST_TURNS):
            await asyncio.sleep(0)
            self._read()
            quiet = quiet + 1 if self.transport.is_reading or self.transport.is_closed else 0
            if quiet == _ENOUGH_TURNS:
                return
        raise AssertionError("the connection reads nothing any more")

    async def heard(self, *kinds: int) -> list[Frame]:
        """What has come since this was last asked, of these kinds where there are any."""
        await self.settle()
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

    def _read(self) -> None:
        if self.transport.is_reading and not self.transport.is_closed and self._unread:
            read, self._unread = self._unread, b""
            self.connection.data_received(read)

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
