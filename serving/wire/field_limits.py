"""How many fields a protobuf message may have, counted before it is parsed.

Each entry of a map takes some three microseconds, during which nobody else is answered: 16 MB of nothing but entries
take four seconds. No model has as many inputs, and no example as many features.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from serving.errors import PayloadTooLargeError

MAX_FIELDS = 4096
MAX_UNCOUNTED_BYTES = 64 * 1024
"""What is shorter cannot hold enough of them to matter."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MORE, _SEVEN_BITS, _MAX_VARINT_BYTES = 0x80, 0x7F, 10


class _Field(NamedTuple):
    number: int
    start: int
    end: int


def check_fields(message: bytes, containers: Collection[int] = ()) -> None:
    """Counts the fields of a serialized message, and of those of its fields that are messages and named by number.

    Raises:
        PayloadTooLargeError: there are more than `MAX_FIELDS` in one of them.
    """
    if len(message) <= MAX_UNCOUNTED_BYTES:
        return
    for count, field in enumerate(_fields(message, 0, len(message)), 1):
        _check_count(count)
        if field.number in containers:
            for inner, _ in enumerate(_fields(message, field.start, field.end), 1):
                _check_count(inner)


def _check_count(count: int) -> None:
    if count > MAX_FIELDS:
        raise PayloadTooLargeError(f"expected at most {MAX_FIELDS:,} fields in a message, received more")


def _fields(message: bytes, start: int, end: int) -> Iterator[_Field]:
    """The fields, one after the other; ends where they make no sense, which parsing will tell of."""
    while start < end:
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
        yield _Field(tag >> 3, value, after)
        start = after


def _varint(message: bytes, start: int) -> tuple[int, int]:
    """The number, and where it ends; an end beyond the message where it has none."""
    value = 0
    for shift, byte in enumerate(message[start : start + _MAX_VARINT_BYTES]):
        value |= (byte & _SEVEN_BITS) << 7 * shift
        if not byte & _MORE:
            return value, start + shift + 1
    return value, len(message) + 1
