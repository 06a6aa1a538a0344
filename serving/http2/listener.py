"""Where Envoy passes on the gRPC port's connections of clients that speak HTTP/2: a Unix socket of the worker."""

from __future__ import annotations

import asyncio
import logging

from serving.control.messages import Traffic
from serving.http2.answering import App
from serving.http2.connection import Connection
from serving.http2.farewell import Patience

log = logging.getLogger("atelier.http2")

_LOOK_EVERY_S = 1.0
_BACKLOG = 4096
"""Envoy takes connections that come in crowds, while this event loop may do something else for a moment."""


class Http2Listener:
    """All such connections of a worker, on its event loop."""

    def __init__(self, app: App, patience: Patience) -> None:
        self._app = app
        self._patience = patience
        self._ended_requests = 0
        """Of connections that are no more."""
        self._connections: set[Connection] = set()
        self._is_draining = False
        self._server: asyncio.Server | None = None
        self._next_look: asyncio.TimerHandle | None = None

    def traffic(self) -> Traffic:
        """What goes on now."""
        in_flight = sum(connection.in_flight for connection in self._connections)
        requests = self._ended_requests + sum(connection.requests for connection in self._connections)
        return Traffic(len(self._connections), in_flight, requests)

    async def start(self, path: str) -> None:
        """Listens there."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._accept, path, backlog=_BACKLOG)
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
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()

    def _accept(self) -> Connection:
        connection = Connection(self._app, self._patience, self._forget, leaves=self._is_draining)
        self._connections.add(connection)
        return connection

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._ended_requests += connection.requests

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._next_look = loop.call_later(_LOOK_EVERY_S, self._look)
        now_s = loop.time()
        for connection in list(self._connections):
            try:
                connection.look(now_s)
            except Exception:
                log.exception("a connection could not be looked at")
                connection.abort()
