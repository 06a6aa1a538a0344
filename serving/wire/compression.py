"""What clients compress: gRPC messages, and request bodies whose encoding Envoy does not know."""

from __future__ import annotations

import zlib
from types import MappingProxyType

from serving.errors import InvalidInputError, PayloadTooLargeError

ENCODINGS = MappingProxyType({"gzip": 31, "deflate": 15})
"""The window bits that zlib wants for each encoding; `deflate` is the zlib format, as in HTTP (RFC 9110, 8.4.1.2)."""


def inflate(content: bytes, encoding: str, max_bytes: int, *, what: str) -> bytes:
    """The content of `what`, compressed in one of `ENCODINGS`; never makes more than `max_bytes` of it.

    Raises:
        InvalidInputError: damaged.
        PayloadTooLargeError: inflates to more than `max_bytes`.
    """
    inflater = zlib.decompressobj(ENCODINGS[encoding])
    try:
        inflated = inflater.decompress(content, max_bytes + 1)
    except zlib.error as error:
        raise InvalidInputError(f"the {encoding} {what} is damaged: {error}") from error
    if len(inflated) > max_bytes:
        raise PayloadTooLargeError(f"expected at most {max_bytes:,} bytes once inflated, received more")
    if not inflater.eof:
        raise InvalidInputError(f"the {encoding} {what} is damaged: it ends too early")
    if inflater.unused_data:
        raise InvalidInputError(f"the {encoding} {what} is damaged: {len(inflater.unused_data)} bytes follow its end")
    return inflated


def deflate(content: bytes, encoding: str) -> bytes:
    """The content compressed in one of `ENCODINGS`, as fast as that goes."""
    deflater = zlib.compressobj(level=zlib.Z_BEST_SPEED, wbits=ENCODINGS[encoding])
    return deflater.compress(content) + deflater.flush()
