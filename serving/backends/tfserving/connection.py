"""One HTTP/2 connection to a server, and the calls that are on their way over it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

from serving.backends.tfserving.calls import EXPIRED, outcome, reset, timeout_field
from serving.backends.tfserving.failures import Failure, RpcError
from serving.wire import http2 as frames
from serving.wire.grpc_codes import UNAVAILABLE
from serving.wire.grpc_framing import encode_message
from serving.wire.http2 import Frame, FrameReader, ProtocolError, frame_head, number_frame

_CREDIT_BYTES = 2**24
"""The server may send much more than that before it needs to be told that the answers were read."""


class _Call:
    """A call that waits for its answer; `window` is how many bytes of its request the server takes by now."""

    __slots__ = ("answer", "body", "fields", "unsent", "window")

    def __init__(self, answer: asyncio.Future[bytes | Failure], request: bytes, window: int) -> None:
        self.answer = answer
        self.unsent = memoryview(encode_message(request))
        self.window = window
        self.fields: dict[bytes, bytes] = {}
        self.body: list[bytes] = []

    def end(self, result: bytes | Failure) -> None:
        if not self.answer.done():
            self.answer.set_result(result)


class Connection(asyncio.Protocol):
    """Made, used and closed on one event loop."""

    def __init__(self, address: str, changed: Callable[[Connection], None]) -> None:
        """`changed` is called when it is no longer open, and when it is lost."""
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._address = address
        self._changed = changed
        self.is_open = False
        """Whether it takes calls; those on their way may yet be answered when it no longer does."""
        self.is_lost = False
        self.opened: asyncio.Future[None] = loop.create_future()
        self._lost: asyncio.Future[None] = loop.create_future()
        self._problem = "the connection was lost"
        self._reader = FrameReader()
        self._calls: dict[int, _Call] = {}
        self._unsent: dict[int, _Call] = {}
        """Calls whose requests wait for the server to take more."""
        self._next_stream = 1
        self._max_calls = frames.LAST_STREAM
        self._window = self._first_window = frames.DEFAULT_WINDOW_BYTES
        self._max_frame_bytes = frames.DEFAULT_FRAME_BYTES
        self._unacknowledged_bytes = 0
        self._block: tuple[Frame, bytearray] | None = None
        """The frame that began a header block which is not complete yet, and what came of the block."""
        self._room = asyncio.Event()

    @classmethod
    async def open(
        cls,
        endpoint: tuple[str, int],
        tls: ssl.SSLContext | None,
        server_name: str | None,
        address: str,
        changed: Callable[[Connection], None],
    ) -> Connection:
        """Returns once the server has said that it speaks HTTP/2.

        Raises:
            OSError: there is no connection, or it was lost before that.
        """
        loop = asyncio.get_running_loop()
        transport, connection = await loop.create_connection(
            lambda: cls(address, changed), *endpoint, ssl=tls, server_hostname=server_name
        )
        try:
            await connection.opened
        except asyncio.CancelledError:
            transport.abort()
            raise
        return connection

    async def call(self, fields: bytes, request: bytes, timeout_s: float) -> bytes:
        """One call; `fields` are `request_fields`, `request` is the message.

        Raises:
            RpcError: it failed.
        """
        gives_up_at = self._loop.time() + timeout_s
        if len(self._calls) >= self._max_calls:
            await self._until_there_is_room(gives_up_at)
        if not self.is_open:
            raise RpcError(Failure(UNAVAILABLE, self._problem), self._address)
        stream = self._next_stream
        self._next_stream += 2
        call = self._calls[stream] = _Call(self._loop.create_future(), request, self._first_window)
        block = fields + timeout_field(timeout_s)
        head = frame_head(frames.HEADERS, frames.END_HEADERS, stream, len(block))
        self._send(stream, call, [head, block])
        if self._next_stream > frames.LAST_STREAM:
            self.leave()
        timer = self._loop.call_at(gives_up_at, call.end, EXPIRED)
        try:
            result = await call.answer
        finally:
            timer.cancel()
            if stream in self._calls:  # nobody waits for it any more
                self._reset(stream)
        if isinstance(result, Failure):
            raise RpcError(result, self._address)
        return result

    def fail(self, problem: str) -> None:
        """Ends it at once; the calls on their way are UNAVAILABLE."""
        self._problem = problem
        self._transport.abort()

    async def close(self) -> None:
        """As `fail`, because the gateway stops; returns once it has ended."""
        self.fail("the gateway is stopping")
        await self._lost

    def leave(self) -> None:
        """Takes no more calls, and ends with the last one."""
        self._stop()
        if not self._calls:
            self._transport.close()

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says what a client says first."""
        self._transport = cast("asyncio.Transport", transport)
        tls: Any = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self.fail("the server does not speak HTTP/2")
            return
        self._transport.write(frames.PREFACE)

    def data_received(self, data: bytes) -> None:
        """Takes what the server says; who says what is not HTTP/2 is left."""
        try:
            for frame in self._reader.feed(data):
                self._take(frame)
        except ProtocolError as error:
            self.fail(str(error))

    def connection_lost(self, error: Exception | None) -> None:
        """Fails whatever is on its way."""
        problem = f"{self._problem}: {error}" if error else self._problem
        self._problem = problem
        self._stop()
        for stream in list(self._calls):
            self._end(stream, Failure(UNAVAILABLE, problem))
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(problem))
        self.is_lost = True
        self._changed(self)
        self._lost.set_result(None)

    # --- frames that come ---

    def _take(self, frame: Frame) -> None:
        if self._block is not None and frame.kind != frames.CONTINUATION:
            raise ProtocolError("a header block that is not continued")
        if frame.kind == frames.DATA:
            self._take_data(frame)
        elif frame.kind in {frames.HEADERS, frames.CONTINUATION}:
            self._take_block(frame)
        elif frame.kind == frames.SETTINGS and not frame.flags & frames.ACK:
            self._take_settings(frames.decode_settings(frame.payload))
        elif frame.kind == frames.WINDOW_UPDATE:
            self._take_credit(frame.stream, frames.decode_number(frame.payload))
        elif frame.kind == frames.PING and not frame.flags & frames.ACK:
            head = frame_head(frames.PING, frames.ACK, 0, len(frame.payload))
            self._transport.write(head + frame.payload)
        elif frame.kind == frames.RST_STREAM:
            self._end(frame.stream, reset(frames.decode_number(frame.payload)))
        elif frame.kind == frames.GOAWAY:
            self._take_leave(last_stream=frames.decode_number(frame.payload))
        elif frame.kind == frames.PUSH_PROMISE:
            raise ProtocolError("a push that was not wanted")

    def _take_data(self, frame: Frame) -> None:
        self._unacknowledged_bytes += len(frame.payload)
        if self._unacknowledged_bytes >= _CREDIT_BYTES:
            self._transport.write(number_frame(frames.WINDOW_UPDATE, 0, self._unacknowledged_bytes))
            self._unacknowledged_bytes = 0
        call = self._calls.get(frame.stream)
        if call is not None:
            call.body.append(frame.content())
            if frame.flags & frames.END_STREAM:
                self._answered(frame.stream, call)

    def _take_block(self, frame: Frame) -> None:
        first, block = frame, frame.payload
        if frame.kind == frames.CONTINUATION:
            if self._block is None or self._block[0].stream != frame.stream:
                raise ProtocolError("the continuation of no header block")
            first, whole = self._block
            whole += frame.payload
            if len(whole) > frames.MAX_BLOCK_BYTES:
                raise ProtocolError(f"a header block of more than {frames.MAX_BLOCK_BYTES} bytes")
            block = bytes(whole)
        elif not frame.flags & frames.END_HEADERS:
            self._block = frame, bytearray(frame.content())
            return
        else:
            block = frame.content()
        if not frame.flags & frames.END_HEADERS:
            return
        self._block = None
        fields = frames.decode_fields(block)
        call = self._calls.get(first.stream)
        if call is not None:
            call.fields.update(fields)
            if first.flags & frames.END_STREAM:
                self._answered(first.stream, call)

    def _take_settings(self, settings: dict[int, int]) -> None:
        self._max_calls = settings.get(frames.MAX_CONCURRENT_STREAMS, self._max_calls)
        self._max_frame_bytes = settings.get(frames.MAX_FRAME_SIZE, self._max_frame_bytes)
        window = settings.get(frames.INITIAL_WINDOW_SIZE, self._first_window)
        for call in self._calls.values():
            call.window += window - self._first_window
        self._first_window = window
        self._transport.write(frame_head(frames.SETTINGS, frames.ACK, 0, 0))
        self._send_more()
        self._room.set()
        if not self.opened.done():
            self.is_open = True
            self.opened.set_result(None)

    def _take_credit(self, stream: int, credit_bytes: int) -> None:
        if stream == 0:
            self._window += credit_bytes
        elif stream in self._calls:
            self._calls[stream].window += credit_bytes
        self._send_more()

    def _take_leave(self, last_stream: int) -> None:
        self._problem = "the server goes away"
        for stream in [stream for stream in self._calls if stream > last_stream]:
            self._end(stream, Failure(UNAVAILABLE, self._problem))
        self.leave()

    # --- frames that go ---

    def _send(self, stream: int, call: _Call, before: list[bytes]) -> None:
        """Sends as much of the request as the server takes, after what is to be sent `before`."""
        pieces: list[bytes | memoryview] = [*before]
        while call.unsent:
            length = min(len(call.unsent), call.window, self._window, self._max_frame_bytes)
            if length <= 0:
                self._unsent[stream] = call
                break
            call.window -= length
            self._window -= length
            piece, call.unsent = call.unsent[:length], call.unsent[length:]
            flags = 0 if call.unsent else frames.END_STREAM
            pieces += (frame_head(frames.DATA, flags, stream, length), piece)
        if pieces:
            self._transport.writelines(pieces)

    def _send_more(self) -> None:
        waiting, self._unsent = self._unsent, {}
        for stream, call in waiting.items():
            self._send(stream, call, [])

    def _reset(self, stream: int) -> None:
        """Tells the server that nobody waits for the answer."""
        self._transport.write(number_frame(frames.RST_STREAM, stream, frames.CANCEL))
        self._forget(stream)

    # --- its calls and its end ---

    def _answered(self, stream: int, call: _Call) -> None:
        if call.unsent:
            self._reset(stream)  # the answer came before the whole request went
        else:
            self._forget(stream)
        call.end(outcome(call.fields, call.body))

    def _end(self, stream: int, result: Failure) -> None:
        call = self._calls.get(stream)
        if call is not None:
            self._forget(stream)
            call.end(result)

    def _forget(self, stream: int) -> None:
        del self._calls[stream]
        self._unsent.pop(stream, None)
        self._room.set()
        if not self.is_open and not self._calls:
            self._transport.close()

    def _stop(self) -> None:
        if self.is_open:
            self.is_open = False
            self._changed(self)
        self._room.set()

    async def _until_there_is_room(self, gives_up_at: float) -> None:
        try:
            async with asyncio.timeout_at(gives_up_at):
                while self.is_open and len(self._calls) >= self._max_calls:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            raise RpcError(EXPIRED, self._address) from None
