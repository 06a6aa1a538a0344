"""One HTTP/1.1 connection of a client: its requests, one after the other. Source: RFC 9112."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from serving.client_limits import HEADERS_TIMEOUT_S, WINDOW_BYTES
from serving.http.answering import WHOLE_BYTES
from serving.http.reading import LONG_READ_BYTES, Reading
from serving.http.refusals import INTERNAL_ERROR, TIMED_OUT, refuse
from serving.http.requests import Client, RefusedRequestError
from serving.http.service import Service
from serving.http1.chunks import Chunks
from serving.http1.exchange import HttpExchange, encode_last
from serving.http1.heads import END, Beginning, HeadReader

log = logging.getLogger("atelier.http1")

_MOST_WAITING_BYTES = 64 * 1024
"""Of requests that a client sends before the one before is answered; more is read later."""
_LINGER_S = 1.0
"""A client that still sends is heard for so long after its last byte, so that it looks for the answer."""


class Connection(asyncio.Protocol):
    """Answers a request, and then looks at the next."""

    def __init__(
        self, service: Service, lost: Callable[[Connection], None], client: Client | None, *, leaves: bool
    ) -> None:
        """`lost` is called at its end. One that `leaves` ends with the next answer."""
        self._answering = service.answering
        self._patience = service.patience
        self.signature = service.signature
        self._lost = lost
        self.leaves = leaves
        self._loop = asyncio.get_running_loop()
        self._heads = HeadReader(client, service.scheme)
        self._now_s = self._opened_at_s = self._rests_since_s = self._loop.time()
        self._beginning: Beginning | None = None
        """Of a head that has not come to its end."""
        self._begun_at_s = self._now_s
        self._exchange: HttpExchange | None = None
        self._chunks: Chunks | None = None
        self._missing_bytes = 0
        """Of a body whose length is known."""
        self._held_bytes = 0
        """Of the body, that the application has not read."""
        self._waiting = b""
        """What came behind the request that is being answered."""
        self.requests = 0
        """All so far."""
        self.is_writing_paused = False
        self._unsent_bytes = 0
        """When it was last looked at."""
        self._is_closing = self._lingers = False
        self._heard_at_s = self._ends_since_s = self._now_s

    @property
    def in_flight(self) -> int:
        """Requests that are begun and not yet fully answered."""
        return int(self._exchange is not None)

    @property
    def is_heard_out(self) -> bool:
        """Whether the client may have all that was said to it."""
        return not self._lingers and not self._transport.get_write_buffer_size()

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing is said before the client asks."""
        self._transport = cast("asyncio.Transport", transport)
        self._reading = Reading(self._transport)

    def data_received(self, data: bytes) -> None:
        """Takes what the client says."""
        self._now_s = self._loop.time()
        exchange = self._exchange
        if self._is_closing:
            self._heard_at_s = self._now_s
        elif self._waiting or (exchange is not None and exchange.has_ended):
            self._waiting += data
            self._hold_or_go_on()
        else:
            self._take(data)
        if len(data) >= LONG_READ_BYTES:
            self._reading.end_turn()

    def pause_writing(self) -> None:
        """The system takes no more for now."""
        self.is_writing_paused = True

    def resume_writing(self) -> None:
        """It does again."""
        self.is_writing_paused = False
        if self._exchange is not None:
            self._exchange.let_go()

    def connection_lost(self, error: Exception | None) -> None:
        """Nobody waits for the answer any more."""
        del error
        self._is_closing = True
        self._forget()
        self._lost(self)

    # --- its age and its end ---

    def look(self, now_s: float) -> None:
        """Once a second: ends what has taken too long."""
        self._now_s = now_s
        unsent_bytes = self._transport.get_write_buffer_size()
        has_taken, self._unsent_bytes = unsent_bytes < self._unsent_bytes, unsent_bytes
        if self._is_closing:
            is_silent = self._lingers and not unsent_bytes and now_s - self._heard_at_s > _LINGER_S
            if is_silent or now_s - self._ends_since_s > self._patience.request_timeout_s:
                self._transport.abort()
            return
        if 0 < self._patience.max_connection_age_s < now_s - self._opened_at_s:
            self.leaves = True
        if self._exchange is None:
            self._look_at_rest(now_s)
        elif self.is_writing_paused and has_taken:
            self._exchange.waits_since_s = now_s
        else:
            self._look_at(self._exchange, now_s)

    def _look_at_rest(self, now_s: float) -> None:
        if self._beginning is None:
            if now_s - self._rests_since_s > self._patience.idle_timeout_s:
                self._end(lingers=False)
        elif now_s - self._begun_at_s > min(HEADERS_TIMEOUT_S, self._patience.request_timeout_s):
            self._refuse(RefusedRequestError(408, "the request was refused: request_header_timeout"))

    def _look_at(self, exchange: HttpExchange, now_s: float) -> None:
        limit_s = self._patience.request_timeout_s
        if self.is_writing_paused:
            if now_s - exchange.waits_since_s > limit_s:
                self.abort()
        elif not (exchange.has_ended or exchange.has_begun_answer) and now_s - exchange.begun_at_s > limit_s:
            self._refuse(TIMED_OUT)

    def leave(self) -> None:
        """Has the client use another connection after the next answer."""
        self.leaves = True

    def abort(self) -> None:
        """Ends it now."""
        self._is_closing = True
        self._transport.abort()

    def _end(self, *, lingers: bool) -> None:
        """Takes nothing more; what is written still goes. One that `lingers` waits for the client to be silent."""
        self._is_closing = True
        self._lingers = lingers
        self._ends_since_s = self._heard_at_s = self._now_s
        self._forget()
        if lingers:
            self._transport.write_eof()
            self._hold_or_go_on()
        else:
            self._transport.close()

    def _forget(self) -> None:
        exchange, self._exchange = self._exchange, None
        self._beginning = self._chunks = None
        self._waiting = b""
        self._held_bytes = 0
        if exchange is not None:
            exchange.leave()

    # --- what comes ---

    def _take(self, data: bytes) -> None:
        exchange = self._exchange
        try:
            if exchange is None:
                exchange = self._take_head(data)
            else:
                self._take_body(exchange, data)
        except RefusedRequestError as error:
            self._refuse(error)
            return
        if exchange is not None and exchange.task is None and (exchange.has_ended or not _is_soon_whole(exchange)):
            self._answering.start(exchange)

    def _take_head(self, data: bytes) -> HttpExchange | None:
        beginning = self._beginning
        if beginning is None:
            data = data.lstrip(b"\r\n")  # RFC 9112, section 2.2
            end = data.find(END)
            if end < 0:
                if data:
                    self._begun_at_s = self._now_s
                    self._beginning = Beginning()
                    self._beginning.feed(data)
                return None
        else:
            end = beginning.feed(data)
            if end < 0:
                return None
            self._beginning, data = None, bytes(beginning.block)
        end += len(END)
        return self._open(data[:end], data[end:])

    def _open(self, block: bytes, rest: bytes) -> HttpExchange:
        self.requests += 1
        request = self._heads.read(block)
        head = request.head
        exchange = self._exchange = HttpExchange(self, request, self._now_s)
        if head.refusal is not None:
            raise head.refusal
        self._chunks = Chunks() if request.is_chunked else None
        self._missing_bytes = head.body_bytes or 0
        if rest or not (request.is_chunked or self._missing_bytes):
            self._take_body(exchange, rest)
        return exchange

    def _take_body(self, exchange: HttpExchange, data: bytes) -> None:
        if self._chunks is not None:
            piece = self._chunks.feed(data)
            exchange.has_ended = self._chunks.has_ended
            exchange.is_last = exchange.is_last or self._chunks.is_followed
        else:
            piece, self._waiting = data[: self._missing_bytes], data[self._missing_bytes :]
            self._missing_bytes -= len(piece)
            exchange.has_ended = not self._missing_bytes
        self._held_bytes += len(piece)
        exchange.take(piece)
        if exchange.has_ended:
            exchange.end()
        self._hold_or_go_on()

    def read_on(self) -> None:
        """The application has read what came of the body."""
        self._held_bytes = 0
        self._hold_or_go_on()

    def _hold_or_go_on(self) -> None:
        self._reading.hold(holds=self._held_bytes > WINDOW_BYTES or len(self._waiting) > _MOST_WAITING_BYTES)

    # --- what goes ---

    def write(self, piece: bytes) -> None:
        """Of an answer."""
        self._transport.write(piece)

    def answered(self, exchange: HttpExchange) -> None:
        """All of the answer is on its way."""
        exchange.has_answered = True
        self._rests_since_s = self._now_s = self._loop.time()
        if exchange.is_last:
            self._end(lingers=not exchange.has_ended or bool(self._waiting))
            return
        self._exchange = self._chunks = None
        self._held_bytes = 0
        exchange.leave()
        self._hold_or_go_on()
        if self._waiting:
            self._loop.call_soon(self._take_waiting)

    def fail(self, exchange: HttpExchange) -> None:
        """The application has not answered it, or not to the end."""
        if exchange.has_begun_answer:
            self.abort()
        else:
            self._refuse(INTERNAL_ERROR)

    def _take_waiting(self) -> None:
        if self._is_closing:
            return
        data, self._waiting = self._waiting, b""
        try:
            self._take(data)
            self._hold_or_go_on()
        except Exception:
            log.exception("a request could not be read")
            self.abort()

    def _refuse(self, refusal: RefusedRequestError) -> None:
        """Answers in place of the application; the connection ends with that."""
        exchange = self._exchange
        if exchange is not None and exchange.has_begun_answer:
            self.abort()
            return
        answer = refuse(None if exchange is None else exchange.head, refusal)
        self.write(encode_last(answer.status, answer.headers, self.signature.lines, answer.body))
        self._end(lingers=True)


def _is_soon_whole(exchange: HttpExchange) -> bool:
    """Whether its body is worth waiting for: what is read in one go is answered in less time."""
    head = exchange.head
    return head.body_bytes is not None and head.body_bytes <= WHOLE_BYTES and not head.expects_continue
