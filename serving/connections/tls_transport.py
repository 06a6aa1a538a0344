"""TLS over a connection's transport, by Python's `ssl`.

uvloop has TLS as well, but tells neither what a client has not taken yet nor when to wait with more, and a connection
that it closes has to be taken to its end within a time that begins at once: a slow client would be cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import Any, cast

from serving.http.reading import LONG_READ_BYTES, Reading

_RECORD_BYTES = 16 * 1024
"""The most that one holds (RFC 8446, section 5.1)."""
_ENCIPHERED_AT_ONCE_BYTES = 1024 * 1024
"""Of a large answer, which lies in memory twice while it is."""

log = logging.getLogger("atelier.tls")


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """A server's side: the protocol of the bytes beneath, and the transport of what is said by them.

    It keeps nothing back: what a client has not taken lies in the transport beneath, whose word is this one's.
    """

    def __init__(self, context: ssl.SSLContext, protocol: asyncio.Protocol, handshake_timeout_s: float) -> None:
        """`protocol` hears of the connection at once, and hears what is said when the handshake is done."""
        super().__init__()
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_side=True)
        self._protocol = protocol
        self._handshake_timeout_s = handshake_timeout_s
        self._is_agreed = self._has_ended = False

    # --- the protocol of the bytes beneath ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client begins."""
        self._beneath = cast("asyncio.Transport", transport)
        self._reading = Reading(self._beneath)
        self._timer = asyncio.get_running_loop().call_later(self._handshake_timeout_s, self.abort)
        self._protocol.connection_made(self)

    def data_received(self, data: bytes) -> None:
        """Deciphers what has come; after the end that was said, only tells that something has."""
        if len(data) >= LONG_READ_BYTES:
            self._reading.end_turn()
        if self._has_ended:
            self._protocol.data_received(b"")
            return
        self._came.write(data)
        pieces: list[bytes] = []
        try:
            is_over = False
            if not self._is_agreed:
                self._tls.do_handshake()
                self._is_agreed = True
                self._timer.cancel()
            while self._came.pending or self._tls.pending():
                piece = self._tls.read(_RECORD_BYTES)
                if not piece:  # the client's goodbye
                    is_over = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            is_over = False
        except ssl.SSLError as error:
            log.debug("a connection is ended: %s", error)
            is_over = True
            pieces.clear()  # no answer could be enciphered any more
        self._send()  # what TLS itself answers
        if pieces:
            self._protocol.data_received(b"".join(pieces))
        if is_over:
            self.close()

    def pause_writing(self) -> None:
        """The system takes no more for now."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
        self._protocol.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Nobody is there any more."""
        self._timer.cancel()
        self._has_ended = True
        self._protocol.connection_lost(error)

    def _send(self) -> None:
        if self._goes.pending and not self._beneath.is_closing():
            self._beneath.write(self._goes.read())

    # --- the transport of what is said ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Enciphers it, and hands it to the system."""
        if self._has_ended:
            return
        whole = memoryview(data)
        for at in range(0, len(whole), _ENCIPHERED_AT_ONCE_BYTES):
            piece = whole[at : at + _ENCIPHERED_AT_ONCE_BYTES]
            while piece:
                piece = piece[self._tls.write(piece) :]
            self._send()

    def write_eof(self) -> None:
        """Nothing more is said; what still comes is not deciphered."""
        self._say_goodbye()
        self._beneath.write_eof()

    def can_write_eof(self) -> bool:
        """As the transport beneath."""
        return True

    def close(self) -> None:
        """Ends the connection when what was written is gone."""
        if not self._beneath.is_closing():
            self._say_goodbye()
            self._beneath.close()

    def abort(self) -> None:
        """Ends it now."""
        self._beneath.abort()

    def is_closing(self) -> bool:
        """Whether the end has begun."""
        return self._beneath.is_closing()

    def pause_reading(self) -> None:
        """Nothing is taken from the client for now."""
        self._reading.hold(holds=True)

    def resume_reading(self) -> None:
        """It is again."""
        self._reading.hold(holds=False)

    def get_write_buffer_size(self) -> int:
        """Bytes, as they are sent, that the system has not taken."""
        return self._beneath.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the transport beneath."""
        return self._beneath.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who is told what the client says from now on."""
        self._protocol = cast("asyncio.Protocol", protocol)

    def _say_goodbye(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            with contextlib.suppress(ssl.SSLError):  # there is no answer yet, or was no handshake
                self._tls.unwrap()
            self._send()
