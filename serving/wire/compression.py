"""What clients compress: gRPC messages and request bodies."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from types import MappingProxyType

from serving.errors import InvalidInputError, PayloadTooLargeError

ENCODINGS = MappingProxyType({"gzip": 31, "deflate": 15})
"""The window bits that zlib wants for each encoding; `deflate` is the zlib format, as in HTTP (RFC 9110, 8.4.1.2)."""
MAX_INFLATED_AT_ONCE = 4 * 1024
"""What is longer and compressed, and may be a thousand times that, is for a thread to inflate."""
_CHUNK_BYTES = 64 * 1024
_PIECE_BYTES = 1024 * 1024
"""Python's lock is held while a piece is copied, so that the event loop waits for no more than that."""


def inflate(content: bytes, encoding: str, max_bytes: int, *, what: str) -> bytes:
    """The content of `what`, compressed in one of `ENCODINGS`; never makes more than `max_bytes` of it.

    Raises:
        InvalidInputError: damaged.
        PayloadTooLargeError: inflates to more than `max_bytes`.
    """
    pieces, size = [], 0
    try:
        for piece in _inflated_pieces(content, ENCODINGS[encoding]):
            size += len(piece)
            if size > max_bytes:
                raise PayloadTooLargeError(f"expected at most {max_bytes:,} bytes once inflated, received more")
            pieces.append(piece)
    except (zlib.error, EOFError) as error:
        raise InvalidInputError(f"the {encoding} {what} is damaged: {error}") from error
    return b"".join(pieces)


def _inflated_pieces(content: bytes, window_bits: int) -> Iterator[bytes]:
    """Raises:
    zlib.error: damaged.
    EOFError: the compressed data ends before the content does, or after it.
    """
    inflater = zlib.decompressobj(window_bits)
    for start in range(0, len(content), _CHUNK_BYTES):
        waiting, more = content[start : start + _CHUNK_BYTES], True
        while more:
            piece = inflater.decompress(waiting, _PIECE_BYTES)
            yield piece
            waiting = inflater.unconsumed_tail
            more = len(piece) == _PIECE_BYTES and not inflater.eof
        if inflater.eof:
            left = len(content) - start - _CHUNK_BYTES
            following = len(inflater.unused_data) + max(0, left)
            if following:
                raise EOFError(f"{following} bytes follow its end")
            return
    raise EOFError("it ends too early")


def deflate(content: bytes, encoding: str) -> bytes:
    """The content compressed in one of `ENCODINGS`, as fast as that goes."""
    deflater = zlib.compressobj(level=zlib.Z_BEST_SPEED, wbits=ENCODINGS[encoding])
    return deflater.compress(content) + deflater.flush()
