"""One HTTP/2 connection of a client: frames in, requests to the application, frames out.

Source: RFC 9113. What it is stricter about is in docs/limits.md, and the same as on the way through Envoy's own HTTP/2.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol, cast

from serving.http2.allowance import Allowance
from serving.http2.grpc_web import GrpcWebCall
from serving.http2.refusals import refuse
from serving.http2.requests import HeadReader, MalformedRequestError, RefusedRequestError
from serving.http2.stream import ClientLeftError, Headers, Stream, encode_answer
from serving.wire import http2
from serving.wire.http2 import (
    ACK,
    CONNECTION_BEGINS,
    CONTINUATION,
    DATA,
    DEFAULT_FRAME_BYTES,
    DEFAULT_WINDOW_BYTES,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    HEADERS,
    LARGEST_WINDOW_BYTES,
    LAST_STREAM,
    NO_ERROR,
    PING,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    Frame,
    FrameReader,
    ProtocolError,
    frame_head,
    goaway_frame,
    number_frame,
    settings_frame,
)

log = logging.getLogger("atelier.http2")

MAX_CONCURRENT_STREAMS = 128
"""Of one connection. It is also how many requests of one client may stand before another's at most."""
_WINDOW_BYTES = 1024 * 1024
_CONNECTION_WINDOW_BYTES = 16 * _WINDOW_BYTES
_HEADERS_TIMEOUT_S = 10.0
_KEEPALIVE_INTERVAL_S = 60.0
_KEEPALIVE_TIMEOUT_S = 20.0
_ARE_YOU_THERE = b"are you?"
_HAVE_YOU_HEARD = b"go away?"
_SMALL_FRAME_BYTES = 64
"""DATA that brings less, and does not end its body, counts as a frame of control."""
_LONGEST_PROXY_LINE = 107
_LEAVES_AFTER_S = 0.5
_FLUSHED_AT_ONCE = 64
_BEGINNING = b"".join(
    (
        settings_frame(
            {http2.MAX_CONCURRENT_STREAMS: MAX_CONCURRENT_STREAMS, http2.INITIAL_WINDOW_SIZE: _WINDOW_BYTES}
        ),
        number_frame(WINDOW_UPDATE, 0, _CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES),
    )
)

_WHOLE_BYTES = 64 * 1024
"""A body that is no longer takes less than what the connection itself may buffer."""


class App(Protocol):
    """An ASGI application, with a shorter way for gRPC calls that are there as a whole."""

    def __call__(self, scope: Any, receive: Any, send: Any, /) -> Awaitable[None]:
        """As ASGI has it."""

    def answer_whole(self, scope: Any, body: bytes, /) -> Awaitable[tuple[Headers, tuple[bytes, ...], Headers]] | None:
        """The answer's headers, its body in pieces, and its trailers; None where the application has to be called."""


class Patience(NamedTuple):
    """How long clients may take; see the settings of these names."""

    request_timeout_s: float
    idle_timeout_s: float
    max_connection_age_s: float
    """0 has no limit."""


class Connection(asyncio.Protocol):
    """Envoy has accepted it; its first line says who the client is (PROXY protocol, version 1)."""

    def __init__(self, app: App, patience: Patience, lost: Callable[[Connection], None], *, leaves: bool) -> None:
        """`lost` is called at its end. One that `leaves` answers the first request, and lets the client go then."""
        self._app = app
        self._patience = patience
        self._lost = lost
        self._leaves = leaves
        self._loop = asyncio.get_running_loop()
        self._beginning: bytes | None = b""
        self._reader = FrameReader()
        self._heads = HeadReader(None)
        self._allowance = Allowance()
        self._streams: dict[int, Stream] = {}
        self._last_stream = 0
        self._block: tuple[Frame, bytearray, float] | None = None
        """The frame that began a header block which is not complete yet, what came of the block, and when it began."""
        self._ready: list[Stream] = []
        """Requests that came in this turn; the application sees them at its end, unless they are cancelled by then."""
        self._out: list[bytes | memoryview] = []
        self._flushes = False
        self._blocked: dict[int, Stream] = {}
        """Whose answers wait for the client to take more."""
        self._is_paused = False
        self._window = self._first_window = DEFAULT_WINDOW_BYTES
        self._max_frame_bytes = DEFAULT_FRAME_BYTES
        self._received_bytes = self._uncredited_bytes = 0
        self._now_s = self._opened_at = self._heard_at = self._busy_at = self._loop.time()
        self._asked_at: float | None = None
        self._is_closing = self._is_leaving = self._has_left = False

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says what a server says first."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(_BEGINNING)

    def data_received(self, data: bytes) -> None:
        """Takes what the client says; who says what is not HTTP/2 is told so, and left."""
        if self._is_closing:
            return
        self._heard_at = self._now_s = self._loop.time()
        try:
            if self._beginning is not None:
                data = self._begin(self._beginning + data)
            for frame in self._reader.feed(data):
                self._take(frame)
        except ProtocolError as error:
            self._fail(error.code, str(error))
        ready, self._ready = self._ready, []
        for stream in ready:
            if not stream.is_gone:
                self._start(stream)

    def pause_writing(self) -> None:
        """The system takes no more for now."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """It does again."""
        self._is_paused = False
        self._send_more()

    def connection_lost(self, error: Exception | None) -> None:
        """Nobody waits for the answers any more."""
        del error
        self._is_closing = True
        for stream in list(self._streams.values()):
            stream.leave()
        self._streams.clear()
        self._blocked.clear()
        self._lost(self)

    # --- its age and its end ---

    def look(self, now_s: float) -> None:
        """Once a second: ends what has taken too long."""
        if self._is_closing:
            self._transport.abort()
            return
        self._allowance.grant_second()
        patience = self._patience
        if self._streams:
            self._busy_at = now_s
            for stream in list(self._streams.values()):
                self._look_at(stream, now_s)
        elif now_s - self._busy_at > patience.idle_timeout_s:
            self._close("it was idle")
        began = self._opened_at if self._beginning is not None else self._block[2] if self._block else now_s
        if now_s - began > min(_HEADERS_TIMEOUT_S, patience.request_timeout_s):
            self._fail(PROTOCOL_ERROR, "headers that did not come to an end")
        if self._asked_at is not None:
            if now_s - self._asked_at > _KEEPALIVE_TIMEOUT_S:
                self._transport.abort()
        elif now_s - self._heard_at > _KEEPALIVE_INTERVAL_S:
            self._asked_at = now_s
            self._write(frame_head(PING, 0, 0, len(_ARE_YOU_THERE)) + _ARE_YOU_THERE)
        if patience.max_connection_age_s and now_s - self._opened_at > patience.max_connection_age_s:
            self.leave()

    def leave(self) -> None:
        """Tells the client to use another connection, and ends when it has heard that and everything is answered.

        Source: RFC 9113, section 6.8: the first GOAWAY refuses nothing; what was on its way is answered.
        """
        if not self._is_leaving and self._beginning is None:
            self._is_leaving = True
            ping = frame_head(PING, 0, 0, len(_HAVE_YOU_HEARD)) + _HAVE_YOU_HEARD
            self._write(goaway_frame(LAST_STREAM, NO_ERROR) + ping)

    def abort(self) -> None:
        """Ends it now."""
        self._is_closing = True
        self._transport.abort()

    def _fail(self, code: int, text: str) -> None:
        self._write(goaway_frame(self._last_stream, code, text))
        self._end()

    def _close(self, why: str) -> None:
        self._write(goaway_frame(self._last_stream, NO_ERROR, why))
        self._end()

    def _end(self) -> None:
        self._flush()
        self._is_closing = True
        self._transport.close()

    def _look_at(self, stream: Stream, now_s: float) -> None:
        limit_s = self._patience.request_timeout_s
        if stream.number in self._blocked:
            if now_s - stream.waits_since > limit_s:
                self._reset(stream, http2.CANCEL)
        elif not stream.has_ended and not stream.has_begun_answer and now_s - stream.begun_at > limit_s:
            text = "the request was refused: request_overall_timeout"
            self._refuse(stream, RefusedRequestError(408, text))

    # --- frames that come ---

    def _begin(self, data: bytes) -> bytes:
        """What follows on the client's first words, once they are there."""
        line, end, rest = data.partition(b"\r\n")
        if len(line) > _LONGEST_PROXY_LINE or not CONNECTION_BEGINS.startswith(rest[: len(CONNECTION_BEGINS)]):
            raise ProtocolError("a connection that does not begin as HTTP/2 does")
        if not end or len(rest) < len(CONNECTION_BEGINS):
            self._beginning = data
            return b""
        self._beginning = None
        match line.split():
            case [b"PROXY", b"TCP4" | b"TCP6", host, _, port, _]:
                self._heads = HeadReader((host.decode(), int(port)))
        if self._leaves:
            self._loop.call_later(_LEAVES_AFTER_S, self.leave)
        return rest[len(CONNECTION_BEGINS) :]

    def _take(self, frame: Frame) -> None:
        kind = frame.kind
        if self._block is not None and kind != CONTINUATION:
            raise ProtocolError("a header block that is not continued")
        if kind == DATA:
            self._take_data(frame)
        elif kind == HEADERS:
            self._take_headers(frame)
        else:
            self._count_control()
            self._take_control(frame)

    def _take_control(self, frame: Frame) -> None:
        kind, payload = frame.kind, frame.payload
        if kind == CONTINUATION:
            self._continue(frame)
        elif kind == SETTINGS:
            if not frame.flags & ACK:
                self._take_settings(payload)
        elif kind == PING:
            self._take_ping(frame)
        elif kind == WINDOW_UPDATE:
            self._take_credit(frame.stream, http2.decode_number(payload))
        elif kind == RST_STREAM:
            self._take_reset(frame.stream)
        elif kind == PUSH_PROMISE:
            raise ProtocolError("a push from a client")

    def _count_control(self) -> None:
        if not self._allowance.take_frame():
            raise ProtocolError("too many frames that ask for nothing", ENHANCE_YOUR_CALM)

    def _take_data(self, frame: Frame) -> None:
        flow_bytes = len(frame.payload)
        self._received_bytes += flow_bytes
        if self._received_bytes > _CONNECTION_WINDOW_BYTES:
            raise ProtocolError("more than the connection's window", FLOW_CONTROL_ERROR)
        ends = frame.flags & END_STREAM
        if flow_bytes < _SMALL_FRAME_BYTES and not ends:
            self._count_control()
        stream = self._streams.get(frame.stream)
        if stream is None or stream.has_ended or stream.is_gone:
            if frame.stream > self._last_stream or not frame.stream:
                raise ProtocolError("DATA of no stream")
            self._give_connection_credit(flow_bytes)
            if stream is not None and stream.has_ended:
                self._reset(stream, STREAM_CLOSED)
            return
        stream.take(frame.content(), flow_bytes)
        if stream.unread > _WINDOW_BYTES:
            self._reset(stream, FLOW_CONTROL_ERROR)
        elif ends:
            self._end_request(stream)
        elif stream.head.body_bytes is not None and stream.body_bytes > stream.head.body_bytes:
            self._reset(stream, PROTOCOL_ERROR)

    def _take_headers(self, frame: Frame) -> None:
        if frame.flags & END_HEADERS:
            self._take_block(frame, frame.content())
        else:
            self._block = frame, bytearray(frame.content()), self._now_s

    def _continue(self, frame: Frame) -> None:
        if self._block is None or self._block[0].stream != frame.stream:
            raise ProtocolError("the continuation of no header block")
        first, block, _ = self._block
        block += frame.payload
        if len(block) > http2.MAX_BLOCK_BYTES:
            raise ProtocolError(f"a header block of more than {http2.MAX_BLOCK_BYTES} bytes", ENHANCE_YOUR_CALM)
        if frame.flags & END_HEADERS:
            self._block = None
            self._take_block(first, bytes(block))

    def _take_block(self, frame: Frame, block: bytes) -> None:
        number, ends = frame.stream, frame.flags & END_STREAM
        if number <= self._last_stream:
            self._take_trailers(self._streams.get(number), block, ends=bool(ends))
            return
        if not number & 1:
            raise ProtocolError("a client's stream with an even number")
        self._last_stream = number
        if len(self._streams) >= MAX_CONCURRENT_STREAMS:
            self._heads.fields(block)
            self._count_control()
            self._write(number_frame(RST_STREAM, number, http2.REFUSED_STREAM))
            return
        try:
            head = self._heads.read(block)
        except MalformedRequestError:
            self._count_control()
            self._write(number_frame(RST_STREAM, number, PROTOCOL_ERROR))
            return
        stream = self._streams[number] = Stream(self, number, head, self._first_window, self._now_s)
        if head.refusal is not None:
            self._refuse(stream, head.refusal)
            return
        if ends:
            self._end_request(stream)
        elif head.expects_continue:
            self._write_block(number, b"\x08\x03100", flags=END_HEADERS)
        if not stream.is_gone:
            self._ready.append(stream)

    def _take_trailers(self, stream: Stream | None, block: bytes, *, ends: bool) -> None:
        """A request's, which nobody needs; but they change the table of fields."""
        self._heads.fields(block)
        self._count_control()
        if stream is not None:
            if stream.has_ended or not ends:
                self._reset(stream, STREAM_CLOSED if stream.has_ended else PROTOCOL_ERROR)
            else:
                self._end_request(stream)

    def _end_request(self, stream: Stream) -> None:
        if stream.head.body_bytes is not None and stream.body_bytes != stream.head.body_bytes:
            self._reset(stream, PROTOCOL_ERROR)
        else:
            stream.end()

    def _take_ping(self, frame: Frame) -> None:
        if len(frame.payload) != len(_ARE_YOU_THERE):
            raise ProtocolError("a ping that is none", http2.FRAME_SIZE_ERROR)
        if not frame.flags & ACK:
            self._write(frame_head(PING, ACK, 0, len(frame.payload)) + frame.payload)
        elif frame.payload == _ARE_YOU_THERE:
            self._asked_at = None
        elif frame.payload == _HAVE_YOU_HEARD and self._is_leaving:
            self._has_left = True
            if not self._streams:
                self._close("")

    def _take_settings(self, payload: bytes) -> None:
        settings = http2.decode_settings(payload)
        window = settings.get(http2.INITIAL_WINDOW_SIZE, self._first_window)
        size = settings.get(http2.MAX_FRAME_SIZE, self._max_frame_bytes)
        if window > LARGEST_WINDOW_BYTES:
            raise ProtocolError("a window that is too large", FLOW_CONTROL_ERROR)
        if not DEFAULT_FRAME_BYTES <= size < 1 << 24:
            raise ProtocolError("a size of frames that may not be")
        self._max_frame_bytes = min(size, 4 * DEFAULT_FRAME_BYTES)
        for stream in self._streams.values():
            stream.window += window - self._first_window
        self._first_window = window
        self._write(frame_head(SETTINGS, ACK, 0, 0))
        self._send_more()

    def _take_credit(self, number: int, credit_bytes: int) -> None:
        if not number:
            self._window += credit_bytes
            if not credit_bytes or self._window > LARGEST_WINDOW_BYTES:
                raise ProtocolError("a window of no size", FLOW_CONTROL_ERROR if credit_bytes else PROTOCOL_ERROR)
        elif number > self._last_stream:
            raise ProtocolError("a window of no stream")
        elif (stream := self._streams.get(number)) is not None:
            stream.window += credit_bytes
            if not credit_bytes or stream.window > LARGEST_WINDOW_BYTES:
                self._reset(stream, FLOW_CONTROL_ERROR if credit_bytes else PROTOCOL_ERROR)
        self._send_more()

    def _take_reset(self, number: int) -> None:
        if not number or number > self._last_stream:
            raise ProtocolError("the reset of no stream")
        stream = self._streams.get(number)
        if stream is not None:
            stream.leave()
            self._forget(stream)
            if not self._allowance.take_cancelled(self._now_s - stream.begun_at):
                raise ProtocolError("most calls were cancelled at once", ENHANCE_YOUR_CALM)

    def give_credit(self, stream: Stream) -> None:
        """The application has read what came of this stream."""
        read, stream.unread = stream.unread, 0
        self._give_connection_credit(read)
        if not stream.has_ended:
            self._write(number_frame(WINDOW_UPDATE, stream.number, read))

    def _give_connection_credit(self, read: int) -> None:
        self._uncredited_bytes += read
        if self._uncredited_bytes >= _CONNECTION_WINDOW_BYTES // 4:
            self._received_bytes -= self._uncredited_bytes
            self._write(number_frame(WINDOW_UPDATE, 0, self._uncredited_bytes))
            self._uncredited_bytes = 0

    # --- frames that go ---

    def takes_at_once(self, stream: Stream, size: int) -> bool:
        """Whether the client takes a piece of a body of so many bytes now, as one frame."""
        return size <= stream.window and size <= self._window and size <= self._max_frame_bytes and not self._is_paused

    def send_all(self, stream: Stream, block: bytes, body: bytes, trailers: bytes) -> None:
        """A whole answer, whose body `takes_at_once`."""
        number, size = stream.number, len(body)
        self._window -= size
        self._write(
            frame_head(HEADERS, END_HEADERS, number, len(block)),
            block,
            frame_head(DATA, 0, number, size),
            body,
            frame_head(HEADERS, END_HEADERS | END_STREAM, number, len(trailers)),
            trailers,
        )
        self._answered(stream)

    def send_fields(self, stream: Stream, block: bytes, *, ends: bool) -> None:
        """Headers or trailers."""
        self._write_block(stream.number, block, END_HEADERS | (END_STREAM if ends else 0))
        if ends:
            self._answered(stream)

    async def send_body(self, stream: Stream, body: bytes, *, ends: bool) -> None:
        """A piece of an answer's body; returns once the client takes it.

        Raises:
            ClientLeftError: it never will.
        """
        if self.takes_at_once(stream, len(body)):
            self._write_data(stream, body, ends=ends)
        else:
            stream.unsent = memoryview(body)
            self._send_pieces(stream, ends=False)
            while stream.unsent:
                stream.waits_since = self._loop.time()
                self._blocked[stream.number] = stream
                stream.sent = self._loop.create_future()
                await stream.sent
            if stream.is_gone:
                raise ClientLeftError
            if ends:
                self._write_data(stream, b"", ends=True)
        if ends:
            self._answered(stream)

    def _send_pieces(self, stream: Stream, *, ends: bool) -> None:
        while stream.unsent and not self._is_paused:
            size = min(len(stream.unsent), stream.window, self._window, self._max_frame_bytes)
            if size <= 0:
                return
            piece, stream.unsent = stream.unsent[:size], stream.unsent[size:]
            self._write_data(stream, piece, ends=ends and not stream.unsent)
            if len(self._out) >= _FLUSHED_AT_ONCE:
                self._flush()

    def _write_data(self, stream: Stream, piece: bytes | memoryview, *, ends: bool) -> None:
        size = len(piece)
        stream.window -= size
        self._window -= size
        self._allowance.grant_data()
        self._write(frame_head(DATA, END_STREAM if ends else 0, stream.number, size), piece)

    def _send_more(self) -> None:
        if self._blocked and not self._is_paused:
            blocked, self._blocked = self._blocked, {}
            for number, stream in blocked.items():
                before = len(stream.unsent)
                self._send_pieces(stream, ends=False)
                if not stream.unsent:
                    stream.let_go()
                else:
                    self._blocked[number] = stream
                    if len(stream.unsent) < before:
                        stream.waits_since = self._now_s

    def _write_block(self, number: int, block: bytes, flags: int) -> None:
        if len(block) <= DEFAULT_FRAME_BYTES:
            self._write(frame_head(HEADERS, flags, number, len(block)), block)
            return
        parts = [block[at : at + DEFAULT_FRAME_BYTES] for at in range(0, len(block), DEFAULT_FRAME_BYTES)]
        self._write(frame_head(HEADERS, flags & ~END_HEADERS, number, len(parts[0])), parts[0])
        for part in parts[1:]:
            last = END_HEADERS if part is parts[-1] else 0
            self._write(frame_head(CONTINUATION, last, number, len(part)), part)

    def _write(self, *pieces: bytes | memoryview) -> None:
        """All that is written in a turn of the event loop goes together."""
        self._out += pieces
        if not self._flushes:
            self._flushes = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushes = False
        if self._out and not self._is_closing:
            self._transport.write(b"".join(self._out))
        self._out = []

    # --- its requests ---

    def _start(self, stream: Stream) -> None:
        """Has a request answered: as a whole where it can be, which is quicker."""
        scope = stream.head.scope
        if stream.head.is_grpc and stream.has_ended and stream.body_bytes <= _WHOLE_BYTES:
            answer = self._app.answer_whole(scope, stream.whole_body())
            if answer is not None:
                stream.drop_body()
                stream.task = self._loop.create_task(self._answer_whole(stream, answer))
                return
        stream.task = self._loop.create_task(self._answer(stream))

    async def _answer_whole(
        self, stream: Stream, answering: Awaitable[tuple[Headers, tuple[bytes, ...], Headers]]
    ) -> None:
        headers, pieces, trailers = await answering
        if stream.is_gone:
            return
        block = encode_answer(200, headers)
        if len(pieces) == 1 and trailers and self.takes_at_once(stream, len(pieces[0])):
            self.send_all(stream, block, pieces[0], encode_answer(0, trailers))
            return
        stream.has_begun_answer = True
        self.send_fields(stream, block, ends=not trailers)
        with contextlib.suppress(ClientLeftError):
            for piece in pieces:
                await self.send_body(stream, piece, ends=False)
            if trailers:
                self.send_fields(stream, encode_answer(0, trailers), ends=True)

    async def _answer(self, stream: Stream) -> None:
        scope = stream.head.scope
        try:
            if stream.head.is_grpc_web:
                call = GrpcWebCall(scope, stream.receive, stream.send)
                await self._app(call.scope, call.receive, call.send)
            else:
                await self._app(scope, stream.receive, stream.send)
        except ClientLeftError:
            pass
        except Exception:
            log.exception("a request of %s failed", stream.head.scope["path"])
        if not stream.has_answered and not stream.is_gone:
            self._reset(stream, http2.INTERNAL_ERROR)

    def _answered(self, stream: Stream) -> None:
        stream.has_answered = True
        self._allowance.grant_answer()
        if not stream.has_ended:
            self._write(number_frame(RST_STREAM, stream.number, NO_ERROR))
        self._forget(stream)
        if not self._streams:
            self._flush()

    def _refuse(self, stream: Stream, refusal: RefusedRequestError) -> None:
        """Answers in place of the application."""
        block, body = refuse(refusal, is_grpc=stream.head.is_grpc)
        is_bodyless = not body or stream.head.scope["method"] == "HEAD"
        self._write_block(stream.number, block, END_HEADERS | (END_STREAM if is_bodyless else 0))
        if not is_bodyless:
            self._write_data(stream, body, ends=True)
        self._write(number_frame(RST_STREAM, stream.number, NO_ERROR))
        stream.leave()
        self._forget(stream)

    def _reset(self, stream: Stream, code: int) -> None:
        self._write(number_frame(RST_STREAM, stream.number, code))
        stream.leave()
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        if stream.unread:
            self._give_connection_credit(stream.unread)
            stream.unread = 0
        self._streams.pop(stream.number, None)
        self._blocked.pop(stream.number, None)
        if not self._streams:
            self._busy_at = self._now_s
            if self._has_left:
                self._close("")
            elif self._leaves:
                self.leave()
