"""How many bytes of bodies a client may send, of a stream and of all of a connection (RFC 9113, section 5.2)."""

from __future__ import annotations

from serving.client_limits import CONNECTION_WINDOW_BYTES, MAX_CONCURRENT_STREAMS, WINDOW_BYTES
from serving.http2.outbox import Outbox
from serving.http2.stream import Stream
from serving.wire import http2
from serving.wire.http2 import (
    DEFAULT_WINDOW_BYTES,
    FLOW_CONTROL_ERROR,
    WINDOW_UPDATE,
    ProtocolError,
    number_frame,
    settings_frame,
)

_CREDIT_BYTES = 64 * 1024
"""What is read of all streams before the client is told; it may send much more than that meanwhile."""
BEGINNING = b"".join(
    (
        settings_frame({http2.MAX_CONCURRENT_STREAMS: MAX_CONCURRENT_STREAMS, http2.INITIAL_WINDOW_SIZE: WINDOW_BYTES}),
        number_frame(WINDOW_UPDATE, 0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES),
    )
)
"""What a server says first."""


class Intake:
    """Of one connection."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._received_bytes = self._read_bytes = 0
        """Since the client was told last: all that the window bounds, and what was read of it."""

    def take(self, flow_bytes: int) -> None:
        """DATA has come.

        Raises:
            ProtocolError: the client has sent more than it may.
        """
        self._received_bytes += flow_bytes
        if self._received_bytes > CONNECTION_WINDOW_BYTES:
            raise ProtocolError("more than the connection's window", FLOW_CONTROL_ERROR)

    def give_credit(self, read: int) -> None:
        """So much of it was read, or will not be."""
        self._read_bytes += read
        if self._read_bytes >= _CREDIT_BYTES:
            self._received_bytes -= self._read_bytes
            self._outbox.write(number_frame(WINDOW_UPDATE, 0, self._read_bytes))
            self._read_bytes = 0

    def give_credit_of(self, stream: Stream) -> None:
        """All that came of this stream was read, or will not be."""
        read, stream.unread_bytes = stream.unread_bytes, 0
        self.give_credit(read)
        if read and not stream.has_ended and not stream.is_gone:
            self._outbox.write(number_frame(WINDOW_UPDATE, stream.number, read))
