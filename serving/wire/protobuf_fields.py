"""A serialized protobuf message's fields, without parsing or building what is in them.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MORE, _SEVEN_BITS, _MAX_VARINT_BYTES = 0x80, 0x7F, 10


class Field(NamedTuple):
    """Where a field begins, with its tag, and where its value begins and ends; `is_bytes` where that has a length."""

    number: int
    begin: int
    start: int
    end: int
    is_bytes: bool


def fields_of(message: bytes, start: int, end: int) -> Iterator[Field]:
    """The fields, one after the other; ends where they make no sense, which parsing will tell of."""
    while start < end:
        begin = start
        tag, start = _varint(message, start)
        kind = tag & 7
        if kind == _VARINT:
            value, after = start, _varint(message, start)[1]
        elif kind == _BYTES:
            size, value = _varint(message, start)
            after = value + size
        elif kind in {_FIXED64, _FIXED32}:
            value, after = start, start + (8 if kind == _FIXED64 else 4)
        else:
            return
        if after > end or not tag >> 3:
            return
        yield Field(tag >> 3, begin, value, after, kind == _BYTES)
        start = after


def only_fields(message: bytes, numbers: Collection[int]) -> bytes:
    """The message with nothing but its fields of these numbers."""
    fields = fields_of(message, 0, len(message))
    return b"".join(message[field.begin : field.end] for field in fields if field.number in numbers)


def has_field(message: bytes, number: int) -> bool:
    """Whether one of its fields has this number."""
    return any(field.number == number for field in fields_of(message, 0, len(message)))


def bytes_field(number: int, content: bytes) -> bytes:
    """A field that holds bytes, text or a message that is serialized already."""
    return bytes_field_head(number, len(content)) + content


def bytes_field_head(number: int, size: int) -> bytes:
    """What stands before the content of such a field, for content that shall not be copied once more."""
    return _encode_varint(number << 3 | _BYTES) + _encode_varint(size)


def _encode_varint(value: int) -> bytes:
    parts = bytearray()
    while value > _SEVEN_BITS:
        parts.append(value & _SEVEN_BITS | _MORE)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _varint(message: bytes, start: int) -> tuple[int, int]:
    """The number, and where it ends; an end beyond the message where it has none."""
    byte = message[start] if start < len(message) else _MORE
    if not byte & _MORE:
        return byte, start + 1
    value = 0
    for shift, byte in enumerate(message[start : start + _MAX_VARINT_BYTES]):
        value |= (byte & _SEVEN_BITS) << 7 * shift
        if not byte & _MORE:
            return value, start + shift + 1
    return value, len(message) + 1
