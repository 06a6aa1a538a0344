"""Envoy's admin interface over its Unix socket, as far as starting and stopping needs it.

Source: https://www.envoyproxy.io/docs/envoy/latest/operations/admin
"""

from __future__ import annotations

import http.client
import socket
from typing import NamedTuple

from serving.envoy.config import STAT_PREFIX
from serving.envoy.passing_on import CLUSTER

_TIMEOUT_S = 5.0


class Traffic(NamedTuple):
    """Connections that are open; requests that are begun and not yet fully answered; and all requests so far."""

    connections: int
    in_flight: int
    requests: int


class EnvoyAdmin:
    """One Envoy's admin interface; every method raises OSError while nothing answers."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path

    def is_ready(self) -> bool:
        """Whether Envoy has started its workers, and so takes connections."""
        return self._ask("GET", "/ready")[0] == http.client.OK

    def begin_drain(self) -> None:
        """Has every answer tell its client to use another connection from now on; new ones are still taken."""
        self._ask("POST", "/drain_listeners?graceful&skip_exit")

    def stop_listening(self) -> None:
        """Closes the ports; what is in flight goes on."""
        self._ask("POST", "/drain_listeners")

    def traffic(self) -> Traffic:
        """What goes on now; connections that are passed on count as requests: serving/http2/ ends those without any."""
        prefix, passed_on = f"http.{STAT_PREFIX}.downstream_", f"cluster.{CLUSTER}.upstream_cx_active"
        asked = f"^({prefix}(cx_active|rq_active|rq_total)|{passed_on})$"
        lines = self._ask("GET", f"/stats?filter={asked}")[1].decode().splitlines()
        stats = {name: int(value) for name, value in (line.split(": ") for line in lines)}
        others = stats.get(passed_on, 0)
        return Traffic(
            stats[f"{prefix}cx_active"] + others, stats[f"{prefix}rq_active"] + others, stats[f"{prefix}rq_total"]
        )

    def _ask(self, method: str, path: str) -> tuple[int, bytes]:
        connection = _UnixConnection(self._socket_path)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"Envoy's admin interface answered no HTTP: {error}") from error
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("envoy", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
