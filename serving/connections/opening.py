"""What a connection begins with tells HTTP/2 from HTTP/1.1."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from serving.client_limits import HEADERS_TIMEOUT_S
from serving.http.patience import Patience
from serving.http.requests import Client
from serving.wire.http2 import CONNECTION_BEGINS

_HTTP2_LINE = CONNECTION_BEGINS[: CONNECTION_BEGINS.index(b"\r\n")]
_IPV4_IN_IPV6 = "::ffff:"


class Connection(Protocol):
    """A connection of a client, whatever it speaks."""

    @property
    def in_flight(self) -> int:
        """Requests that are begun and not yet fully answered."""

    @property
    def is_heard_out(self) -> bool:
        """Whether the client may have all that was said to it; what the system has taken reaches it after our end."""

    @property
    def requests(self) -> int:
        """All so far."""

    def look(self, now_s: float) -> None:
        """Once a second: ends what has taken too long."""

    def leave(self) -> None:
        """Has the client use another connection, without losing a request."""

    def abort(self) -> None:
        """Ends it now."""


class Spoken(Connection, Protocol):
    """One that it is known of what it speaks."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio has it."""

    def data_received(self, data: bytes) -> None:
        """As asyncio has it."""


class Opening(asyncio.Protocol):
    """A connection until it is known what it speaks."""

    in_flight = requests = 0
    is_heard_out = True

    def __init__(
        self,
        speak: Callable[[Opening, Client | None, bool], Spoken],
        lost: Callable[[Opening], None],
        patience: Patience,
    ) -> None:
        """`speak` makes what takes this one's place; the last argument says whether that speaks HTTP/2."""
        self._speak = speak
        self._lost = lost
        self._patience = patience
        self._transport: asyncio.Transport | None = None
        self._came = b""
        self._is_over = False
        self._begun_at_s = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing is said before the client begins."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Takes what comes until it is enough."""
        if self._is_over:
            return
        if not self._came:
            self._begun_at_s = asyncio.get_running_loop().time()
        begun = self._came = self._came + data
        if len(begun) < len(CONNECTION_BEGINS) and CONNECTION_BEGINS.startswith(begun):
            return
        is_http2 = begun.startswith(_HTTP2_LINE)
        if is_http2 and not begun.startswith(CONNECTION_BEGINS):
            self.abort()
            return
        self._is_over = True
        transport = cast("asyncio.Transport", self._transport)
        spoken = self._speak(self, _client_of(transport.get_extra_info("peername")), is_http2)
        transport.set_protocol(cast("asyncio.BaseProtocol", spoken))
        spoken.connection_made(transport)
        if rest := begun[len(CONNECTION_BEGINS) :] if is_http2 else begun:
            spoken.data_received(rest)

    def connection_lost(self, error: Exception | None) -> None:
        """It never said what it speaks."""
        del error
        self._is_over = True
        self._lost(self)

    def look(self, now_s: float) -> None:
        """See there."""
        headers_timeout_s = min(HEADERS_TIMEOUT_S, self._patience.request_timeout_s)
        limit_s = headers_timeout_s if self._came else self._patience.idle_timeout_s
        if now_s - self._begun_at_s > limit_s:
            self.abort()

    def leave(self) -> None:
        """What it speaks will say so."""

    def abort(self) -> None:
        """Ends it now."""
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()


def _client_of(peername: tuple[str, int, *tuple[int, ...]] | None) -> Client | None:
    """An IPv4 client of a socket for both kinds is shown as what it is."""
    if peername is None:
        return None
    host, port, *_ = peername
    return host.removeprefix(_IPV4_IN_IPV6), port
