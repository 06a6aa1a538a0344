"""What a connection sends: frames, as many as the client's windows and the system take."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from serving.http2.allowance import Allowance
from serving.wire import http2
from serving.wire.http2 import (
    CONTINUATION,
    DATA,
    DEFAULT_FRAME_BYTES,
    DEFAULT_WINDOW_BYTES,
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    HEADERS,
    LARGEST_WINDOW_BYTES,
    PROTOCOL_ERROR,
    RST_STREAM,
    ProtocolError,
    frame_head,
    number_frame,
)

if TYPE_CHECKING:
    from serving.http2.stream import Stream

_FRAMES_A_TURN = 16
"""Of one stream, before it is another's turn."""
_MAX_UNREAD_BYTES = 4 * 1024 * 1024
"""Of answers, and of what has to be said besides, that a client may leave to the system."""


class Outbox:
    """Of one connection; all that is written in a turn of the event loop goes together."""

    def __init__(self, loop: asyncio.AbstractEventLoop, allowance: Allowance) -> None:
        self._loop = loop
        self._allowance = allowance
        self._pieces: list[bytes | memoryview] = []
        self._flushes = False
        self._is_paused = self._is_closed = False
        self._window = self.first_window = DEFAULT_WINDOW_BYTES
        self._blocked: dict[int, Stream] = {}
        """Whose answers wait for the client to take more; whoever has waited longest is first."""

    def open(self, transport: asyncio.Transport) -> None:
        """From now on things can be sent."""
        self._transport = transport

    def close(self) -> None:
        """What is written is still sent, nothing more."""
        self.flush()
        self._is_closed = True

    def abandon(self) -> None:
        """Nobody is there any more."""
        self._is_closed = True
        self._pieces.clear()

    def write(self, *pieces: bytes | memoryview) -> None:
        """Frames that no window bounds."""
        self._pieces += pieces
        if not self._flushes:
            self._flushes = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Hands to the system what was written; a client that has not read megabytes of it is left."""
        self._flushes = False
        pieces, self._pieces = self._pieces, []
        if pieces and not self._is_closed:
            self._transport.write(b"".join(pieces))
            if self._is_paused and self._transport.get_write_buffer_size() > _MAX_UNREAD_BYTES:
                self._is_closed = True
                self._transport.abort()

    # --- answers ---

    def takes_at_once(self, stream: Stream, size: int) -> bool:
        """Whether the client takes a piece of a body of so many bytes now, as one frame."""
        return size <= stream.window and size <= self._window and size <= DEFAULT_FRAME_BYTES and not self._is_paused

    def send_all(self, stream: Stream, block: bytes, body: bytes, trailers: bytes) -> None:
        """A whole answer, whose body it `takes_at_once`, and whose blocks are no longer than a frame."""
        number, size = stream.number, len(body)
        self._window -= size
        self.write(
            frame_head(HEADERS, END_HEADERS, number, len(block)),
            block,
            frame_head(DATA, 0, number, size),
            body,
            frame_head(HEADERS, END_HEADERS | END_STREAM, number, len(trailers)),
            trailers,
        )

    def send_fields(self, number: int, block: bytes, *, ends: bool) -> None:
        """Headers or trailers."""
        flags = END_STREAM if ends else 0
        parts = [block[at : at + DEFAULT_FRAME_BYTES] for at in range(0, len(block), DEFAULT_FRAME_BYTES)]
        for part in parts:
            last = END_HEADERS if part is parts[-1] else 0
            kind, flags = (HEADERS, flags) if part is parts[0] else (CONTINUATION, 0)
            self.write(frame_head(kind, flags | last, number, len(part)), part)

    def send_short(self, stream: Stream, body: bytes) -> bool:
        """The whole of a short body, where the client takes it now; else nothing."""
        takes = self.takes_at_once(stream, len(body))
        if takes:
            self._write_data(stream, body, ends=True)
        return takes

    async def send_body(self, stream: Stream, body: bytes, *, ends: bool) -> None:
        """A piece of an answer's body; returns once the client takes it.

        Raises:
            ClientLeftError: it never will.
        """
        if self.takes_at_once(stream, len(body)):
            self._write_data(stream, body, ends=ends)
            return
        stream.unsent = memoryview(body)
        self._blocked[stream.number] = stream
        self.send_more()
        await stream.taken(self._loop.time())
        if ends:
            self._write_data(stream, b"", ends=True)

    def send_more(self) -> None:
        """As much as is taken of what waits, each in its turn."""
        while self._blocked and self._window > 0 and not self._is_paused:
            turn, self._blocked = self._blocked, {}
            has_sent = False
            for number, stream in turn.items():
                has_sent |= self._send_pieces(stream)
                if stream.unsent:
                    self._blocked[number] = stream
                else:
                    stream.let_go()
            if not has_sent:
                break

    def forget(self, stream: Stream) -> None:
        """Nothing of its answer waits any more."""
        self._blocked.pop(stream.number, None)

    def reset(self, stream: Stream, code: int) -> None:
        """Ends a stream."""
        self.write(number_frame(RST_STREAM, stream.number, code))

    def _send_pieces(self, stream: Stream) -> bool:
        before = len(stream.unsent)
        for _ in range(_FRAMES_A_TURN):
            size = min(len(stream.unsent), stream.window, self._window, DEFAULT_FRAME_BYTES)
            if size <= 0:
                break
            piece, stream.unsent = stream.unsent[:size], stream.unsent[size:]
            self._write_data(stream, piece, ends=False)
        self.flush()
        has_sent = len(stream.unsent) < before
        if has_sent:
            stream.waits_since_s = self._loop.time()
        return has_sent

    def _write_data(self, stream: Stream, piece: bytes | memoryview, *, ends: bool) -> None:
        size = len(piece)
        stream.window -= size
        self._window -= size
        self._allowance.grant_bytes(size)
        self.write(frame_head(DATA, END_STREAM if ends else 0, stream.number, size), piece)

    # --- what the client and the system take ---

    def pause(self) -> None:
        """The system takes no more for now."""
        self._is_paused = True

    def resume(self) -> None:
        """It does again."""
        self._is_paused = False
        self.send_more()

    def take_credit(self, credit_bytes: int) -> None:
        """The client has read so much of the connection.

        Raises:
            ProtocolError: no credit, or too much.
        """
        self._window = _with_credit(self._window, credit_bytes)

    def take_credit_of(self, stream: Stream, credit_bytes: int) -> None:
        """The client has read so much of a stream.

        Raises:
            ProtocolError: see `take_credit`; the stream can't go on.
        """
        stream.window = _with_credit(stream.window, credit_bytes)

    def take_first_window(self, window: int, streams: list[Stream]) -> None:
        """What every stream begins with, also those that are open.

        Raises:
            ProtocolError: it is too large, or becomes so for one of them.
        """
        more = window - self.first_window
        if window > LARGEST_WINDOW_BYTES or any(stream.window + more > LARGEST_WINDOW_BYTES for stream in streams):
            raise ProtocolError("a window that is too large", FLOW_CONTROL_ERROR)
        for stream in streams:
            stream.window += more
        self.first_window = window


def _with_credit(window: int, credit_bytes: int) -> int:
    if not credit_bytes:
        raise ProtocolError("credit for no byte", PROTOCOL_ERROR)
    if window + credit_bytes > http2.LARGEST_WINDOW_BYTES:
        raise ProtocolError("a window that is too large", FLOW_CONTROL_ERROR)
    return window + credit_bytes
