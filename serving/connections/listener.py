"""Takes the connections of a worker's clients, at both of its ports."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Iterable

from serving.connections.opening import Connection, Opening, Spoken
from serving.connections.tls_context import TlsContext
from serving.connections.tls_transport import TlsTransport
from serving.control.messages import Traffic
from serving.http.requests import Client
from serving.http.service import Service
from serving.http1.connection import Connection as Http1Connection
from serving.http2.connection import Connection as Http2Connection

log = logging.getLogger("atelier.connections")

_LOOK_EVERY_S = 1.0
_ACCEPTED_PER_TURN = 32
"""Of those that come in a crowd; those that are open wait no longer for it."""
_HANDSHAKE_TIMEOUT_S = 10.0
_TOO_MUCH_IS_OPEN = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Other errors of accept(2) are those of a connection that is no more: https://man7.org/linux/man-pages/man2/accept.2.html"""


class Listener:
    """All connections of a worker, on its event loop."""

    def __init__(self, service: Service, max_connections: int, tls: TlsContext | None = None) -> None:
        """Of `max_connections` that are open any more are closed at once; without `tls` they speak plain text."""
        self._service = service
        self._max_connections = max_connections
        self._tls = tls
        self._handshake_timeout_s = min(_HANDSHAKE_TIMEOUT_S, service.patience.request_timeout_s)
        self._ended_requests = 0
        """Of connections that are no more."""
        self._connections: set[Connection] = set()
        self._is_draining = False
        self._listening: list[socket.socket] = []
        self._beginning: set[asyncio.Task[None]] = set()
        self._next_look: asyncio.TimerHandle | None = None
        self._takes_again: asyncio.TimerHandle | None = None
        self._is_closed = False

    def traffic(self) -> Traffic:
        """What goes on now."""
        in_flight = sum(one.in_flight or int(not one.is_heard_out) for one in self._connections)
        requests = self._ended_requests + sum(connection.requests for connection in self._connections)
        return Traffic(len(self._connections), in_flight, requests)

    def open(self, listening: Iterable[socket.socket]) -> None:
        """Takes connections at these sockets, which are its own from now on; closes them where it was told to stop."""
        self._listening = list(listening)
        if self._is_closed:
            self.stop_taking()
        self._go_on_taking()
        self._look()

    def drain(self) -> None:
        """Has all clients use other connections from now on; new ones are still answered, and told so too."""
        self._is_draining = True
        for connection in list(self._connections):
            connection.leave()

    def stop_taking(self) -> None:
        """Closes the ports; whoever was connected before that is still answered."""
        self._is_closed = True
        if self._takes_again is not None:
            self._takes_again.cancel()
        for listening in self._listening:
            asyncio.get_running_loop().remove_reader(listening)
            with contextlib.suppress(OSError):
                while self._take_one(listening):
                    pass
            listening.close()
        self._listening.clear()

    async def close(self) -> None:
        """Ends all now."""
        if self._next_look is not None:
            self._next_look.cancel()
        self.stop_taking()
        for task in self._beginning:
            task.cancel()
        for connection in list(self._connections):
            connection.abort()

    def _go_on_taking(self) -> None:
        self._takes_again = None
        for listening in self._listening:
            asyncio.get_running_loop().add_reader(listening, self._take_some, listening)

    def _take_some(self, listening: socket.socket) -> None:
        """asyncio's own server would take one in each turn of uvloop, which those in a crowd would wait for."""
        try:
            for _ in range(_ACCEPTED_PER_TURN):
                if not self._take_one(listening):
                    return
        except OSError as error:
            log.warning("connections have to wait: %s", error.strerror)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listening)
            if self._takes_again is None:
                self._takes_again = loop.call_later(_LOOK_EVERY_S, self._go_on_taking)

    def _take_one(self, listening: socket.socket) -> bool:
        """Whether there was one; raises OSError where there may be more that cannot be taken."""
        try:
            taken, _ = listening.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _TOO_MUCH_IS_OPEN:
                raise
            return True
        if len(self._connections) >= self._max_connections:
            taken.close()
            return True
        opening = Opening(self._speak, self._forget, self._service.patience)
        self._connections.add(opening)
        begins = asyncio.get_running_loop().create_task(self._begin(opening, taken))
        self._beginning.add(begins)
        begins.add_done_callback(self._beginning.discard)
        return True

    async def _begin(self, opening: Opening, taken: socket.socket) -> None:
        protocol: asyncio.Protocol = opening
        if self._tls is not None:
            protocol = TlsTransport(self._tls.context, opening, self._handshake_timeout_s)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, taken)
        except OSError as error:  # the client has left
            log.debug("a connection could not be begun: %s", error)
            self._forget(opening)
        except BaseException:
            self._forget(opening)
            raise

    def _speak(self, opening: Opening, client: Client | None, is_http2: bool) -> Spoken:
        kind = Http2Connection if is_http2 else Http1Connection
        spoken = kind(self._service, self._forget, client, leaves=self._is_draining)
        self._connections.discard(opening)
        self._connections.add(spoken)
        return spoken

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._ended_requests += connection.requests

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._next_look = loop.call_later(_LOOK_EVERY_S, self._look)
        self._service.signature.renew()
        if self._tls is not None:
            self._tls.renew()
        now_s = loop.time()
        for connection in list(self._connections):
            try:
                connection.look(now_s)
            except Exception:
                log.exception("a connection could not be looked at")
                connection.abort()
