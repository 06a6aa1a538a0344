"""What a connection begins with: who the client is, as Envoy says, and HTTP/2's first words."""

from __future__ import annotations

from serving.http2.requests import Client
from serving.wire.http2 import CONNECTION_BEGINS, ProtocolError

_LONGEST_LINE = 107
"""PROXY protocol, version 1: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt"""


class Beginning:
    """Of one connection."""

    def __init__(self) -> None:
        self.is_over = False
        self.client: Client | None = None
        """None where Envoy does not say."""
        self._came = b""

    def feed(self, data: bytes) -> bytes:
        """What follows, once the beginning is there.

        Raises:
            ProtocolError: it is none.
        """
        self._came += data
        line, end, rest = self._came.partition(b"\r\n")
        if len(line) > _LONGEST_LINE or not CONNECTION_BEGINS.startswith(rest[: len(CONNECTION_BEGINS)]):
            raise ProtocolError("a connection that does not begin as HTTP/2 does")
        if not end or len(rest) < len(CONNECTION_BEGINS):
            return b""
        self.is_over = True
        self._came = b""
        match line.split():
            case [b"PROXY", b"TCP4" | b"TCP6", host, _, port, _]:
                self.client = host.decode(), int(port)
        return rest[len(CONNECTION_BEGINS) :]
