"""A connection of serving/http2 without a socket: a client that says bytes and checks what it hears; applications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
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


class Transport:
    """Keeps what is written to it; tells nobody that it was closed."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_closed = self.is_aborted = False
        self.is_reading = True
        self.unread_bytes = 0
        """What the system has not taken of what was written."""
        self.largest_write = 0
        self.after_write: Callable[[], None] = lambda: None

    def write(self, piece: bytes) -> None:
        assert not self.is_closed, "written after the connection was closed"
        self.written += piece
        self.largest_write = max(self.largest_write, len(piece))
        self.after_write()

    def get_write_buffer_size(self) -> int:
        return self.unread_bytes

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True


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
        self._unread = b""
        self._reader = FrameReader()
        self._decoder = hpack.Decoder()
        self._window = self._first_window = frames.DEFAULT_WINDOW_BYTES
        self._windows: dict[int, int] = {}
        self._said_settings: list[Mapping[int, int]] = []
        self._block: tuple[Frame, bytes] | None = None
        if beginning:
            self.say(beginning)

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


class Echo:
    """Answers with what it is asked: gRPC calls that are there as a whole, and others by `receive` and `send`."""

    def __init__(self, piece_bytes: int = 2**40) -> None:
        """No piece of an answer is larger."""
        self._piece_bytes = piece_bytes
        self.scopes: list[dict[str, Any]] = []
        self.answered: list[tuple[dict[str, Any], bytes]] = []
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
        self.answered.append((scope, body))
        await self.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for piece in self._cut(body):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def answer_whole(self, scope: Any, body: bytes) -> Any:
        self.scopes.append(scope)
        self.bodies.append(body)
        self.whole.append(body)
        self.answered.append((scope, body))
        return self._echo(body)

    async def wait(self) -> None:
        """Before each answer."""

    async def _echo(self, body: bytes) -> Any:
        try:
            await self.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        return ((b"content-type", b"application/grpc"),), self._cut(body), ((b"grpc-status", b"0"),)

    def _cut(self, body: bytes) -> tuple[bytes, ...]:
        step = min(len(body), self._piece_bytes) or 1
        return tuple(body[at : at + step] for at in range(0, len(body), step))


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
