"""Bodies that come in chunks, as llhttp reads them. Source: RFC 9112, section 7.1."""

from __future__ import annotations

import httptools

from serving.client_limits import MAX_HEADERS
from serving.http.requests import RefusedRequestError

_HEAD = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
"""Stands for that of the request, which may say what llhttp would heed and the gateway does not, as `upgrade`."""
_MOST_BESIDE_BYTES = 64 * 1024
"""Without a byte of the body: extensions and trailers, which nobody needs."""
_MOST_BESIDE_A_BYTE = 16
"""For all of a body; a chunk of one byte takes five more."""


class Chunks:
    """Of one body."""

    has_ended = False
    is_followed = False
    """More came behind the body's end, and is lost: llhttp does not say where that was."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._trailers = self._body_bytes = self._beside_bytes = self._since_bytes = 0
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(_HEAD)
        self._trailers = 0

    def feed(self, data: bytes) -> bytes:
        """What of the body is in these bytes.

        Raises:
            RefusedRequestError: they are no chunks, or there is too much beside what is in them.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.has_ended:
                raise RefusedRequestError(400, f"Malformed request: {error}") from error
            self.is_followed = True
        piece = b"".join(self._pieces)
        self._pieces.clear()
        if not self.has_ended:
            self._count(len(piece), len(data) - len(piece))
        return piece

    def _count(self, body_bytes: int, beside_bytes: int) -> None:
        self._body_bytes += body_bytes
        self._beside_bytes += beside_bytes
        self._since_bytes = 0 if body_bytes else self._since_bytes + beside_bytes
        is_much = self._beside_bytes > _MOST_BESIDE_BYTES + _MOST_BESIDE_A_BYTE * self._body_bytes
        if is_much or self._since_bytes > _MOST_BESIDE_BYTES:
            raise RefusedRequestError(400, "Malformed request: chunks with too much beside what is in them")
        if self._trailers > MAX_HEADERS:
            raise RefusedRequestError(431, f"expected at most {MAX_HEADERS} trailers, received more")

    # --- what llhttp calls ---

    def on_message_begin(self) -> None:
        """Another request comes."""
        self.is_followed = self.has_ended

    def on_header(self, name: bytes, value: bytes) -> None:
        """A trailer."""
        del name, value
        self._trailers += 1

    def on_body(self, piece: bytes) -> None:
        """What is in a chunk, or some of it."""
        if not self.has_ended:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """The body's end."""
        self.has_ended = True
