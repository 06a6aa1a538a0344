"""Where Envoy passes clients' connections on: a Unix socket of the worker."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path

from serving.connections.opening import Connection, Opening, Spoken
from serving.control.messages import Traffic
from serving.http.requests import Client
from serving.http.service import Service
from serving.http1.connection import Connection as Http1Connection
from serving.http2.connection import Connection as Http2Connection

log = logging.getLogger("atelier.connections")

_LOOK_EVERY_S = 1.0
_BACKLOG = 4096
"""Envoy takes connections that come in crowds, while this event loop may do something else for a moment."""
_ACCEPTED_PER_TURN = 32
"""Those that are open wait no longer for such a crowd."""


class Listener:
    """All connections of a worker, on its event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._ended_requests = 0
        """Of connections that are no more."""
        self._connections: set[Connection] = set()
        self._is_draining = False
        self._listening: socket.socket | None = None
        self._beginning: set[asyncio.Task[object]] = set()
        self._next_look: asyncio.TimerHandle | None = None

    def traffic(self) -> Traffic:
        """What goes on now."""
        in_flight = sum(connection.in_flight for connection in self._connections)
        requests = self._ended_requests + sum(connection.requests for connection in self._connections)
        return Traffic(len(self._connections), in_flight, requests)

    async def start(self, path: Path) -> None:
        """Listens there, in place of a worker that was killed."""
        path.unlink(missing_ok=True)  # noqa: ASYNC240 -- on the machine's own disk, once
        loop = asyncio.get_running_loop()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.setblocking(False)
        self._listening.bind(str(path))
        self._listening.listen(_BACKLOG)
        self._go_on_taking()
        self._next_look = loop.call_later(_LOOK_EVERY_S, self._look)

    def drain(self) -> None:
        """Has all clients use other connections from now on; new ones are still answered, and told so too."""
        self._is_draining = True
        for connection in list(self._connections):
            connection.leave()

    async def close(self) -> None:
        """Ends all now."""
        if self._next_look is not None:
            self._next_look.cancel()
        if self._listening is not None:
            listening, self._listening = self._listening, None
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        for connection in list(self._connections):
            connection.abort()

    def _go_on_taking(self) -> None:
        if self._listening is not None:
            asyncio.get_running_loop().add_reader(self._listening, self._take_some, self._listening)

    def _take_some(self, listening: socket.socket) -> None:
        """asyncio's own server would take one in each turn of uvloop, which those in a crowd would wait for."""
        loop = asyncio.get_running_loop()
        for _ in range(_ACCEPTED_PER_TURN):
            try:
                taken, _ = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:
                log.exception("connections have to wait")  # as when too many files are open
                loop.remove_reader(listening)
                loop.call_later(_LOOK_EVERY_S, self._go_on_taking)
                return
            begins = loop.create_task(loop.connect_accepted_socket(self._accept, taken))
            self._beginning.add(begins)
            begins.add_done_callback(self._beginning.discard)

    def _accept(self) -> Opening:
        opening = Opening(self._speak, self._forget, self._service.patience)
        self._connections.add(opening)
        return opening

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
        now_s = loop.time()
        for connection in list(self._connections):
            try:
                connection.look(now_s)
            except Exception:
                log.exception("a connection could not be looked at")
                connection.abort()
