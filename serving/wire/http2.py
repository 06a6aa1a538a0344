"""HTTP/2 frames and header blocks, from and to bytes. Pure.

Sources: RFC 9113 for frames, RFC 7541 for header blocks. What is written here needs no table of header fields, so a
block means the same on every connection and at any time.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
_PADDED, _PRIORITY = 0x8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0x0, 0x1, 0x2, 0x3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 0x5, 0x6, 0x7, 0x8, 0x9
ENHANCE_YOUR_CALM, INADEQUATE_SECURITY = 0xB, 0xC
"""Error codes of RST_STREAM and GOAWAY."""

DEFAULT_WINDOW_BYTES, LARGEST_WINDOW_BYTES = 65_535, 2**31 - 1
DEFAULT_FRAME_BYTES = 16_384
LAST_STREAM = 2**31 - 1
MAX_BLOCK_BYTES = 65_536

_HEAD = struct.Struct(">HBBBI")
_HEAD_BYTES = _HEAD.size
_SETTING = struct.Struct(">HI")
_NUMBER = struct.Struct(">I")
_GOAWAY = struct.Struct(">II")
_PRIORITY_BYTES = 5
_KNOWN_BLOCKS = 64


Fields = Sequence[tuple[bytes, bytes]]
"""Of a header block, in their order."""


class ProtocolError(Exception):
    """What came is not HTTP/2, or not as it was agreed; `code` is what GOAWAY calls it."""

    def __init__(self, text: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Frame:
    """One frame; `stream` is 0 where it is about the connection."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    def content(self) -> bytes:
        """The payload of DATA or HEADERS, without padding and priority.

        Raises:
            ProtocolError: more padding than payload.
        """
        content, padding = self.payload, 0
        if not self.flags & (_PADDED | _PRIORITY):
            return content
        if self.flags & _PADDED:
            padding, content = content[0] if content else 1, content[1:]
        if self.kind == HEADERS and self.flags & _PRIORITY:
            content = content[_PRIORITY_BYTES:]
        if padding > len(content):
            raise ProtocolError("a frame with more padding than content")
        return content[: len(content) - padding]


class FrameReader:
    """Cuts what comes, in whatever pieces, into frames."""

    def __init__(self, max_frame_bytes: int = DEFAULT_FRAME_BYTES) -> None:
        """No frame may have a larger payload; the default is what holds until the other side is told otherwise."""
        self._max_frame_bytes = max_frame_bytes
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete with this piece, in order.

        Raises:
            ProtocolError: a frame is larger than was agreed, as whatever is not HTTP/2 looks.
        """
        if self._rest:
            data = self._rest + data
        frames: list[Frame] = []
        start, size = 0, len(data)
        unpack = _HEAD.unpack_from
        while size - start >= _HEAD_BYTES:
            high, low, kind, flags, stream = unpack(data, start)
            length = high << 8 | low
            if length > self._max_frame_bytes:
                raise ProtocolError(
                    f"expected frames of at most {self._max_frame_bytes} bytes, one announces {length}",
                    FRAME_SIZE_ERROR,
                )
            end = start + _HEAD_BYTES + length
            if end > size:
                break
            frames.append(Frame(kind, flags, stream & LAST_STREAM, data[start + _HEAD_BYTES : end]))
            start = end
        self._rest = data[start:]
        return frames


def frame_head(kind: int, flags: int, stream: int, length: int) -> bytes:
    """What stands before a frame's payload."""
    return _HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream)


def number_frame(kind: int, stream: int, number: int) -> bytes:
    """WINDOW_UPDATE or RST_STREAM: a frame whose payload is one number."""
    return frame_head(kind, 0, stream, _NUMBER.size) + _NUMBER.pack(number)


def settings_frame(settings: Mapping[int, int]) -> bytes:
    """SETTINGS with these values."""
    payload = b"".join(_SETTING.pack(*setting) for setting in settings.items())
    return frame_head(SETTINGS, 0, 0, len(payload)) + payload


def goaway_frame(last_stream: int, code: int, text: str = "") -> bytes:
    """GOAWAY: streams after the last are not looked at; the text is for people."""
    payload = _GOAWAY.pack(last_stream, code) + text.encode()
    return frame_head(GOAWAY, 0, 0, len(payload)) + payload


CONNECTION_BEGINS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What every client says first."""
PREFACE = b"".join(
    (
        CONNECTION_BEGINS,
        settings_frame({HEADER_TABLE_SIZE: 0, ENABLE_PUSH: 0, INITIAL_WINDOW_SIZE: LARGEST_WINDOW_BYTES}),
        number_frame(WINDOW_UPDATE, 0, LARGEST_WINDOW_BYTES - DEFAULT_WINDOW_BYTES),
    )
)
"""What the gateway as a client says first: answers may be as large as they like, and keep no table of header fields."""


def decode_number(payload: bytes, position: int = 0) -> int:
    """The number at this position of a payload; its first bit is reserved, and not part of it.

    Raises:
        ProtocolError: the payload is too short.
    """
    try:
        number: int = _NUMBER.unpack_from(payload, position)[0]
    except struct.error as error:
        raise ProtocolError(f"a frame of {len(payload)} bytes is too short for its kind") from error
    return number & LAST_STREAM


def decode_whole_number(payload: bytes) -> int:
    """The number that a frame's payload is.

    Raises:
        ProtocolError: the payload is of another length.
    """
    if len(payload) != _NUMBER.size:
        raise ProtocolError(f"a frame of {len(payload)} bytes has another size than its kind", FRAME_SIZE_ERROR)
    return decode_number(payload)


def decode_settings(payload: bytes) -> dict[int, int]:
    """The values in a SETTINGS frame.

    Raises:
        ProtocolError: it is not made of settings.
    """
    try:
        return dict(_SETTING.iter_unpack(payload))
    except struct.error as error:
        raise ProtocolError(f"{len(payload)} bytes of SETTINGS are no settings", FRAME_SIZE_ERROR) from error


def encode_fields(fields: Fields) -> bytes:
    """A header block that any connection may carry."""
    never_indexed = [hpack.NeverIndexedHeaderTuple(*field) for field in fields]
    return hpack.Encoder().encode(never_indexed, huffman=False)


@functools.lru_cache(maxsize=_KNOWN_BLOCKS)
def decode_fields(block: bytes) -> Mapping[bytes, bytes]:
    """The fields of a header block; blocks that were seen before, as most are, cost nothing.

    Raises:
        ProtocolError: it is damaged, or wants a table.
    """
    decoder = hpack.Decoder()
    decoder.header_table_size = decoder.max_allowed_table_size = 0
    try:
        return dict(decoder.decode(block, raw=True))
    except hpack.HPACKError as error:
        raise ProtocolError(f"a header block that cannot be read: {error}") from error
