"""The connections of a HOST:PORT: one to each address that the name has, asked in turn."""

from __future__ import annotations

import asyncio
import socket
import ssl

from serving.backends.tfserving.calls import EXPIRED, request_fields
from serving.backends.tfserving.connection import Connection
from serving.backends.tfserving.failures import Failure, RpcError
from serving.wire.grpc_codes import UNAVAILABLE

_CONNECT_WITHIN_S = 5.0

Endpoint = tuple[str, int]


class Channel:
    """Made, used and closed on one event loop. It connects when it is asked and has no connection, and by `refresh`.

    Never by itself: who asks knows how often to try a server that fails.
    """

    def __init__(self, address: str, tls: ssl.SSLContext | None = None, server_name: str | None = None) -> None:
        """`server_name` is the one in the server's certificate, where it is not the one in the address."""
        host, _, port = address.rpartition(":")
        self._address = address
        self._host, self._port = host.strip("[]"), int(port)
        self._tls = tls
        self._server_name = (server_name or self._host) if tls else None
        self._authority = server_name or address
        self._fields: dict[str, bytes] = {}
        self._connections: dict[Connection, Endpoint] = {}
        self._in_turn: list[Connection] = []
        """The connections that take calls."""
        self._turn = 0
        self._looking_up: asyncio.Task[None] | None = None
        self._connecting: dict[Endpoint, asyncio.Task[None]] = {}
        self._waiting: list[asyncio.Future[None]] = []
        """Calls that wait for a connection."""
        self._is_closed = False
        self._loop = asyncio.get_running_loop()

    async def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """One call; `method` is its path, messages are serialized.

        Raises:
            RpcError: it failed; where there is no connection to be had, it is UNAVAILABLE.
        """
        fields = self._fields.get(method)
        if fields is None:
            fields = self._fields[method] = request_fields(method, self._authority, is_tls=self._tls is not None)
        if not self._in_turn:
            gives_up_at = self._loop.time() + timeout_s
            await self._until_connected(gives_up_at)
            timeout_s = gives_up_at - self._loop.time()
        self._turn += 1
        return await self._in_turn[self._turn % len(self._in_turn)].call(fields, request, timeout_s)

    def refresh(self) -> None:
        """Begins to look the name up, to connect to what is new or was lost, and to leave what it means no longer."""
        if not self._is_closed and (self._looking_up is None or self._looking_up.done()):
            self._looking_up = self._loop.create_task(self._look_up())

    def give_up(self) -> None:
        """Ends all connections: the server has gone silent."""
        for attempt in self._connecting.values():
            attempt.cancel()
        for connection in self._connections:
            connection.fail("the server has gone silent")

    async def close(self) -> None:
        """Ends all connections; calls that wait for an answer, and all that come yet, are UNAVAILABLE."""
        self._is_closed = True
        tasks = [*self._connecting.values(), *([self._looking_up] if self._looking_up else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tell_waiting("the gateway is stopping")
        await asyncio.gather(*(connection.close() for connection in list(self._connections)))

    async def _until_connected(self, gives_up_at: float) -> None:
        if self._is_closed:
            raise RpcError(Failure(UNAVAILABLE, "the gateway is stopping"), self._address)
        arrival: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(arrival)
        self.refresh()
        try:
            async with asyncio.timeout_at(gives_up_at):
                await arrival
        except TimeoutError:
            raise RpcError(EXPIRED, self._address) from None
        except OSError as error:
            raise RpcError(Failure(UNAVAILABLE, str(error)), self._address) from error
        finally:
            self._waiting.remove(arrival)
        if not self._in_turn:
            raise RpcError(Failure(UNAVAILABLE, "the connection was lost at once"), self._address)

    async def _look_up(self) -> None:
        try:
            found = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self._tell_waiting(str(error))
            return
        endpoints = [(str(entry[4][0]), self._port) for entry in found]
        for connection, endpoint in list(self._connections.items()):
            if endpoint not in endpoints:
                connection.leave()
        connected = {self._connections[connection] for connection in self._in_turn}
        for endpoint in endpoints:
            if endpoint not in connected and endpoint not in self._connecting:
                self._connecting[endpoint] = self._loop.create_task(self._connect(endpoint))

    async def _connect(self, endpoint: Endpoint) -> None:
        problem = "the connection was given up"
        try:
            async with asyncio.timeout(_CONNECT_WITHIN_S):
                opened = await Connection.open(endpoint, self._tls, self._server_name, self._address, self._changed)
            if opened.is_open:
                self._connections[opened] = endpoint
                self._in_turn.append(opened)
        except TimeoutError:
            problem = f"no connection within {_CONNECT_WITHIN_S:.0f} s"
        except OSError as error:
            problem = str(error)
        finally:
            del self._connecting[endpoint]
            self._tell_waiting(problem)

    def _tell_waiting(self, problem: str) -> None:
        """Lets calls go on once there is a connection, and fails them once none can come any more."""
        for arrival in self._waiting:
            if arrival.done():
                continue
            if self._in_turn:
                arrival.set_result(None)
            elif not self._connecting:
                arrival.set_exception(ConnectionError(problem))

    def _changed(self, connection: Connection) -> None:
        if connection in self._in_turn and not connection.is_open:
            self._in_turn.remove(connection)
        if connection.is_lost:
            self._connections.pop(connection, None)
