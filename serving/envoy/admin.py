"""Envoy's admin interface over its Unix socket, as far as starting and stopping needs it.

Source: https://www.envoyproxy.io/docs/envoy/latest/operations/admin
"""

from __future__ import annotations

import http.client
import socket

_TIMEOUT_S = 5.0


class EnvoyAdmin:
    """One Envoy's admin interface; every method raises OSError while nothing answers."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path

    def is_ready(self) -> bool:
        """Whether Envoy has started its workers, and so takes connections."""
        return self._ask("GET", "/ready")[0] == http.client.OK

    def stop_listening(self) -> None:
        """Closes the ports; what is in flight goes on."""
        self._ask("POST", "/drain_listeners")

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
