"""One HTTP/2 connection of a client: its frames, and the streams that they are of. Source: RFC 9113."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from serving.client_limits import MAX_CONCURRENT_STREAMS, WINDOW_BYTES
from serving.http.reading import LONG_READ_BYTES, Reading
from serving.http.refusals import TIMED_OUT, refuse
from serving.http.requests import Client, Head, MalformedRequestError, RefusedRequestError
from serving.http.service import Service
from serving.http2.allowance import Allowance
from serving.http2.farewell import Farewell
from serving.http2.header_blocks import Assembly, HeadReader
from serving.http2.intake import BEGINNING, Intake
from serving.http2.outbox import Outbox
from serving.http2.requests import are_trailers
from serving.http2.stream import Stream, encode_answer
from serving.wire import http2
from serving.wire.http2 import Frame, FrameReader, ProtocolError, frame_head, goaway_frame, number_frame

_FRAMES_A_TURN = 256
"""Of one connection, before it is another's turn."""
_FRAMES_OF_NEW_HEAD = 16
"""A header block that was not there before takes as long as so many frames."""
_CONTROL_OF_REFUSAL, _CONTROL_OF_SETTINGS = 20, 9
"""How many frames of control a request counts as that is refused unseen, and how many more a change of settings."""
_FRAMES_OF_CONTROL = 3
"""More, that a frame of control costs of a turn: many of them are nobody's honest doing."""
_PING_BYTES = 8
_PRIORITY_BYTES = 5
_CONTINUE = encode_answer(100, ())


class Connection(asyncio.Protocol):
    """Reads what comes behind a client's first words (serving/connections/opening.py)."""

    def __init__(
        self, service: Service, lost: Callable[[Connection], None], client: Client | None, *, leaves: bool
    ) -> None:
        """`lost` is called at its end. One that `leaves` answers what comes first, and lets the client go then."""
        self._answering = service.answering
        self._patience = service.patience
        self.signature = service.signature
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._now_s = self._loop.time()
        self._reader = FrameReader()
        self._frames: deque[Frame] = deque()
        """Those that have come, and wait for the connection's turn; nothing more is read until they have had it."""
        self._cost = 0
        """Of this turn so far, in frames."""
        self._heads = HeadReader(client)
        self._allowance = Allowance()
        self.outbox = Outbox(self._loop, self._allowance)
        self.intake = Intake(self.outbox)
        self._farewell = Farewell(self.outbox, self._now_s, leaves=leaves)
        self._streams: dict[int, Stream] = {}
        self._last_stream = self._last_taken = 0
        """Of the client's streams, and of those that were looked at."""
        self.requests = 0
        """All so far."""
        self._blocks = Assembly()
        self._block_begun_at_s = self._now_s
        self._ready: list[Stream] = []
        """Requests that came in this turn; the application sees them at its end, unless they are cancelled by then."""
        self._is_closing = False

    @property
    def in_flight(self) -> int:
        """Requests that are begun and not yet fully answered."""
        return len(self._streams)

    @property
    def is_heard_out(self) -> bool:
        """Whether the client may have all that was said to it."""
        return not self._is_closing and not self._transport.get_write_buffer_size()

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says what a server says first."""
        self._transport = cast("asyncio.Transport", transport)
        self._reading = Reading(self._transport)
        self.outbox.open(self._transport)
        self._transport.write(BEGINNING)

    def data_received(self, data: bytes) -> None:
        """Takes what the client says; who says what is not HTTP/2 is told so, and left."""
        self._now_s = self._loop.time()
        self._farewell.heard(self._now_s)
        if self._is_closing:
            return
        try:
            self._frames += self._reader.feed(data)
        except ProtocolError as error:
            self._fail(error)
        else:
            self._take_turn()
        if len(data) >= LONG_READ_BYTES:
            self._reading.end_turn()

    def pause_writing(self) -> None:
        """The system takes no more for now."""
        self.outbox.pause()

    def resume_writing(self) -> None:
        """It does again."""
        self.outbox.resume()

    def connection_lost(self, error: Exception | None) -> None:
        """Nobody waits for the answers any more."""
        del error
        self._is_closing = True
        self._frames.clear()
        self.outbox.abandon()
        for stream in list(self._streams.values()):
            stream.leave()
            self.outbox.forget(stream)
        self._streams.clear()
        self._lost(self)

    # --- its age and its end ---

    def look(self, now_s: float) -> None:
        """Once a second: ends what has taken too long."""
        self._now_s = now_s
        if self._is_closing:
            has_unsent = self._transport.get_write_buffer_size() > 0
            if self._farewell.is_overdue(now_s, self._patience.request_timeout_s, has_unsent=has_unsent):
                self._transport.abort()
            return
        self._allowance.grant_second()
        for stream in list(self._streams.values()):
            self._look_at(stream, now_s)
        if self._blocks.is_begun:
            self._farewell.wait_for_headers(now_s - self._block_begun_at_s, self._patience.request_timeout_s)
        age_s = self._patience.max_connection_age_s
        self._farewell.look(now_s, self._patience.idle_timeout_s, age_s, in_flight=len(self._streams))
        self._heed_farewell()

    def leave(self) -> None:
        """Tells the client to use another connection, and ends when it has heard that and everything is answered."""
        self._farewell.say(self._now_s)

    def abort(self) -> None:
        """Ends it now."""
        self._is_closing = True
        self._transport.abort()

    def _heed_farewell(self) -> None:
        if self._farewell.is_lost:
            self.abort()
        elif self._farewell.is_over and not self._streams and not self._is_closing:
            self._close(http2.NO_ERROR, "")
        elif self._farewell.fault:
            self._close(http2.PROTOCOL_ERROR, self._farewell.fault)

    def _fail(self, error: ProtocolError) -> None:
        self._close(error.code, str(error))

    def _close(self, code: int, text: str) -> None:
        self.outbox.write(goaway_frame(self._last_taken, code, text))
        self.outbox.close()
        self._is_closing = True
        self._frames.clear()
        self._farewell.begin_end(self._loop.time(), by_fault=code != http2.NO_ERROR)
        self._transport.write_eof()
        self._reading.hold(holds=False)

    def _look_at(self, stream: Stream, now_s: float) -> None:
        limit_s = self._patience.request_timeout_s
        if stream.unsent:
            if now_s - stream.waits_since_s > limit_s:
                self._reset(stream, http2.CANCEL)
        elif not stream.has_ended and not stream.has_begun_answer and now_s - stream.begun_at_s > limit_s:
            self._refuse(stream, TIMED_OUT)

    # --- frames that come ---

    def _take_turn(self) -> None:
        """Takes the frames that have come, so many of them; the others when it is this connection's turn again."""
        if self._is_closing:
            return
        frames, self._cost = self._frames, 0
        try:
            while frames and self._cost < _FRAMES_A_TURN:
                self._cost += 1
                self._take(frames.popleft())
        except ProtocolError as error:
            self._fail(error)
            return
        self.outbox.send_more()
        ready, self._ready = self._ready, []
        for stream in ready:
            if not stream.is_gone:
                self._answering.start(stream)
        self._heed_farewell()
        if self._is_closing:
            return
        if frames:
            self._loop.call_soon(self._take_turn)
        self._reading.hold(holds=bool(frames))

    def _take(self, frame: Frame) -> None:
        kind = frame.kind
        if self._blocks.is_begun and kind != http2.CONTINUATION:
            raise ProtocolError("a header block that is not continued")
        if kind == http2.DATA:
            self._take_data(frame)
        elif kind == http2.HEADERS:
            self._block_begun_at_s = self._now_s
            self._take_headers(frame)
        elif kind == http2.RST_STREAM:
            self._take_reset(frame)
        else:
            self._count_control()
            self._take_control(frame)

    def _take_control(self, frame: Frame) -> None:
        kind = frame.kind
        if kind == http2.CONTINUATION:
            whole = self._blocks.go_on(frame)
            if whole is not None:
                self._take_block(*whole)
        elif kind == http2.WINDOW_UPDATE:
            self._take_credit(frame)
        elif kind in {http2.SETTINGS, http2.PING, http2.GOAWAY}:
            if frame.stream:
                raise ProtocolError("SETTINGS, PING or GOAWAY of a stream")
            if kind == http2.SETTINGS:
                self._take_settings(frame)
            elif kind == http2.PING:
                self._take_ping(frame)
        elif kind == http2.PRIORITY:
            self._take_priority(frame)
        elif kind == http2.PUSH_PROMISE:
            raise ProtocolError("a push from a client")

    def _count_control(self, cost: int = 1) -> None:
        self._cost += _FRAMES_OF_CONTROL
        if not self._allowance.take_frame(cost):
            raise ProtocolError("too many frames that ask for nothing", http2.ENHANCE_YOUR_CALM)

    def _count_cancelled(self, stream: Stream) -> None:
        if not self._allowance.take_cancelled(self._now_s - stream.begun_at_s):
            raise ProtocolError("most calls were cancelled at once", http2.ENHANCE_YOUR_CALM)

    def _take_data(self, frame: Frame) -> None:
        flow_bytes, ends = len(frame.payload), frame.flags & http2.END_STREAM
        self.intake.take(flow_bytes)
        stream = self._streams.get(frame.stream)
        if not flow_bytes and not ends:
            self._count_control()
        if stream is None:
            if frame.stream > self._last_stream or not frame.stream:
                raise ProtocolError("DATA of no stream")
            self.intake.give_credit(flow_bytes)
            return
        stream.unread_bytes += flow_bytes
        stream.take(frame.content())
        promised = stream.head.body_bytes
        if stream.has_ended:
            self._break(stream, http2.STREAM_CLOSED)
        elif stream.unread_bytes > WINDOW_BYTES:
            self._break(stream, http2.FLOW_CONTROL_ERROR)
        elif ends:
            self._end_request(stream)
        elif promised is not None and stream.body_bytes > promised:
            self._break(stream, http2.PROTOCOL_ERROR)

    def _take_headers(self, frame: Frame) -> None:
        if frame.flags & http2.END_HEADERS:
            self._take_block(frame, frame.content())
        else:
            self._blocks.begin(frame)

    def _take_block(self, frame: Frame, block: bytes) -> None:
        number = frame.stream
        if number <= self._last_stream:
            if not number:
                raise ProtocolError("HEADERS of no stream")
            self._take_trailers(self._streams.get(number), block, ends=bool(frame.flags & http2.END_STREAM))
            return
        if not number & 1:
            raise ProtocolError("a client's stream with an even number")
        if self._farewell.is_over:
            self._last_stream = number
            self._heads.fields(block)  # the client has been told that this one is not looked at
            return
        self._last_stream = self._last_taken = number
        head = self._heads.known(block)
        if head is None:
            self._cost += _FRAMES_OF_NEW_HEAD
            try:
                head = self._heads.read(block)
            except MalformedRequestError:
                self._count_control(_CONTROL_OF_REFUSAL)
                self.outbox.write(number_frame(http2.RST_STREAM, number, http2.PROTOCOL_ERROR))
                return
        if len(self._streams) >= MAX_CONCURRENT_STREAMS:
            self._count_control()
            self.outbox.write(number_frame(http2.RST_STREAM, number, http2.REFUSED_STREAM))
            return
        self._open(number, head, ends=bool(frame.flags & http2.END_STREAM))

    def _open(self, number: int, head: Head, *, ends: bool) -> None:
        self.requests += 1
        stream = self._streams[number] = Stream(self, number, head, self.outbox.first_window, self._now_s)
        if head.refusal is not None:
            stream.has_ended = ends
            self._refuse(stream, head.refusal)
            self._count_control(_CONTROL_OF_REFUSAL)
            return
        if ends:
            self._end_request(stream)
        if not stream.is_gone:
            self._ready.append(stream)
            if head.expects_continue and not ends:
                self.outbox.send_fields(number, _CONTINUE, ends=False)

    def _take_trailers(self, stream: Stream | None, block: bytes, *, ends: bool) -> None:
        """A request's, which nobody needs; but they change the table of fields."""
        self._cost += _FRAMES_OF_NEW_HEAD
        fields = self._heads.fields(block)
        self._count_control()
        if stream is None:
            return
        if stream.has_ended:
            self._break(stream, http2.STREAM_CLOSED)
        elif not ends or not are_trailers(fields):
            self._break(stream, http2.PROTOCOL_ERROR)
        else:
            self._end_request(stream)

    def _end_request(self, stream: Stream) -> None:
        if stream.head.body_bytes is not None and stream.body_bytes != stream.head.body_bytes:
            self._break(stream, http2.PROTOCOL_ERROR)
        else:
            stream.end()

    def _take_priority(self, frame: Frame) -> None:
        """Which nobody heeds (RFC 9113, section 5.3.2)."""
        if not frame.stream:
            raise ProtocolError("PRIORITY of no stream")
        stream = self._streams.get(frame.stream)
        if len(frame.payload) != _PRIORITY_BYTES and stream is not None:
            self._break(stream, http2.FRAME_SIZE_ERROR)

    def _take_ping(self, frame: Frame) -> None:
        if len(frame.payload) != _PING_BYTES:
            raise ProtocolError("a ping that is none", http2.FRAME_SIZE_ERROR)
        if frame.flags & http2.ACK:
            self._farewell.take_answer(frame.payload, self._last_taken)
        else:
            self.outbox.write(frame_head(http2.PING, http2.ACK, 0, _PING_BYTES) + frame.payload)

    def _take_settings(self, frame: Frame) -> None:
        if frame.flags & http2.ACK:
            if frame.payload:
                raise ProtocolError("an acknowledgement of more than that", http2.FRAME_SIZE_ERROR)
            return
        self._count_control(_CONTROL_OF_SETTINGS)
        settings = http2.decode_settings(frame.payload)
        size = settings.get(http2.MAX_FRAME_SIZE, http2.DEFAULT_FRAME_BYTES)
        if not http2.DEFAULT_FRAME_BYTES <= size < 1 << 24 or settings.get(http2.ENABLE_PUSH, 0) > 1:
            raise ProtocolError("a setting that may not be so")
        window = settings.get(http2.INITIAL_WINDOW_SIZE, self.outbox.first_window)
        self.outbox.take_first_window(window, list(self._streams.values()))
        self.outbox.write(frame_head(http2.SETTINGS, http2.ACK, 0, 0))

    def _take_credit(self, frame: Frame) -> None:
        credit_bytes = http2.decode_whole_number(frame.payload)
        if not frame.stream:
            self.outbox.take_credit(credit_bytes)
        elif frame.stream > self._last_stream:
            raise ProtocolError("a window of no stream")
        elif (stream := self._streams.get(frame.stream)) is not None:
            try:
                self.outbox.take_credit_of(stream, credit_bytes)
            except ProtocolError as error:
                self._break(stream, error.code)

    def _take_reset(self, frame: Frame) -> None:
        http2.decode_whole_number(frame.payload)
        if not frame.stream or frame.stream > self._last_stream:
            raise ProtocolError("the reset of no stream")
        stream = self._streams.get(frame.stream)
        if stream is None:
            self._count_control()
            return
        self._forget(stream)
        self._count_cancelled(stream)

    # --- requests and their answers ---

    def fail(self, stream: Stream) -> None:
        """The application has not answered it."""
        self._reset(stream, http2.INTERNAL_ERROR)

    def answered(self, stream: Stream) -> None:
        """All of the answer is on its way."""
        stream.has_answered = True
        self._allowance.grant_answer()
        if not stream.has_ended:
            self.outbox.reset(stream, http2.NO_ERROR)
        self._forget(stream)
        if not self._streams:
            self.outbox.flush()
            self._heed_farewell()

    def _refuse(self, stream: Stream, refusal: RefusedRequestError) -> None:
        """Answers in place of the application."""
        status, headers, body = refuse(stream.head, refusal)
        self.outbox.send_fields(stream.number, encode_answer(status, headers), ends=not body)
        if body and not self.outbox.send_short(stream, body):
            self.outbox.reset(stream, http2.CANCEL)
        elif not stream.has_ended:
            self.outbox.reset(stream, http2.NO_ERROR)
        self._forget(stream)

    def _break(self, stream: Stream, code: int) -> None:
        """Ends a stream whose client has not kept to the protocol; such calls count as cancelled."""
        self._reset(stream, code)
        self._count_cancelled(stream)

    def _reset(self, stream: Stream, code: int) -> None:
        self.outbox.reset(stream, code)
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        del self._streams[stream.number]
        self.outbox.forget(stream)
        stream.leave()
        if stream.unread_bytes:
            self.intake.give_credit_of(stream)
        if not self._streams:
            self._farewell.rest(self._now_s)
