"""gRPC over HTTP/2 as far as one unary call needs it: message frames, timeouts, status texts.

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import struct
from types import MappingProxyType
from urllib.parse import quote

from serving.errors import InvalidInputError, PayloadTooLargeError, UnsupportedError
from serving.wire.compression import ENCODINGS, deflate, inflate
from serving.wire.field_limits import check_fields

_HEADER = struct.Struct(">BI")
_SECONDS_OF_UNIT = MappingProxyType({"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9})
_TIMEOUT_DIGITS = 8
FRAME_HEADER_BYTES = _HEADER.size


def decode_message(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The one message that the body of a unary call frames.

    Raises:
        InvalidInputError: no frame, more than one, or a damaged one.
        UnsupportedError: compressed in a way that is not gzip or deflate.
        PayloadTooLargeError: inflates to more than `max_bytes`, or has thousands of fields.
    """
    if len(body) < FRAME_HEADER_BYTES:
        raise InvalidInputError(
            f"expected one gRPC message, received a body of {len(body)} bytes without a frame header"
        )
    compressed, length = _HEADER.unpack_from(body)
    if length != len(body) - FRAME_HEADER_BYTES:
        raise InvalidInputError(
            f"expected one gRPC message: its frame announces {length} bytes, received {len(body) - FRAME_HEADER_BYTES}"
        )
    message = body[FRAME_HEADER_BYTES:]
    if not compressed:
        check_fields(message)
        return message
    if compressed != 1:
        raise InvalidInputError(f"gRPC frame header: expected 0, or 1 for a compressed message, received {compressed}")
    if encoding not in ENCODINGS:
        raise UnsupportedError(
            f"a compressed gRPC message: expected grpc-encoding gzip or deflate, received {encoding or 'none'}"
        )
    message = inflate(message, encoding, max_bytes, what="gRPC message")
    check_fields(message)
    return message


class FrameSplitter:
    """Cuts what a streaming call sends, in whatever pieces it comes, into frames for `decode_message`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The frames that are complete with this chunk, in order.

        Raises:
            PayloadTooLargeError: a frame announces more than `max_bytes`.
        """
        self._pending += chunk
        frames = []
        while len(self._pending) >= _HEADER.size:
            _, length = _HEADER.unpack_from(self._pending)
            if length > self._max_bytes:
                raise PayloadTooLargeError(
                    f"expected messages of at most {self._max_bytes:,} bytes, one announces {length:,}"
                )
            end = _HEADER.size + length
            if len(self._pending) < end:
                break
            frames.append(bytes(self._pending[:end]))
            del self._pending[:end]
        return frames

    def close(self) -> None:
        """Says that no more comes.

        Raises:
            InvalidInputError: the last frame is incomplete.
        """
        if self._pending:
            raise InvalidInputError(f"the stream of messages ends within a frame, after {len(self._pending)} bytes")


def encode_message(message: bytes, encoding: str = "") -> bytes:
    """The message as one frame, compressed where an encoding is given."""
    if encoding:
        compressed = deflate(message, encoding)
        return _HEADER.pack(1, len(compressed)) + compressed
    return frame_header(len(message)) + message


def frame_header(size: int) -> bytes:
    """What stands before a message that is not compressed."""
    return _HEADER.pack(0, size)


def message_length(body: bytes) -> int | None:
    """Bytes of the message whose frame begins the body, of at least `FRAME_HEADER_BYTES`; None: it is compressed."""
    compressed, length = _HEADER.unpack_from(body)
    return None if compressed else length


def parse_timeout(value: str) -> float:
    """A `grpc-timeout` header such as `250m` in seconds.

    Raises:
        InvalidInputError: not at most eight digits and a unit.
    """
    digits, unit = value[:-1], value[-1:]
    if not digits.isascii() or not digits.isdigit() or len(digits) > _TIMEOUT_DIGITS or unit not in _SECONDS_OF_UNIT:
        raise InvalidInputError(
            f"grpc-timeout: expected up to 8 digits and one of H M S m u n, received {value[:20]!r}"
        )
    return int(digits) * _SECONDS_OF_UNIT[unit]


def encode_status_message(text: str) -> bytes:
    """A `grpc-message` value: UTF-8, percent-encoded outside of printable ASCII."""
    return quote(text, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~").encode()
