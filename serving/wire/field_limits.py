"""What parsing a protobuf message costs, told before it is parsed, which keeps everybody else waiting.

Each entry of a map takes some three microseconds, so that 16 MB of nothing but entries take four seconds; no model has
as many inputs, and no example as many features. Values that stand one by one, such as short strings and packed
integers, take a quarter of a second for 16 MB; numbers that travel as they lie in memory take next to nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Union

from serving.errors import PayloadTooLargeError
from serving.wire.protobuf_fields import fields_of

MAX_FIELDS = 4096
MAX_UNCOUNTED_BYTES = 64 * 1024
"""What is shorter cannot hold enough of them to matter."""

Layout = Mapping[int, Union["Layout", None]]
"""The fields of a message that lead to its large pieces, by number: fields of that message, or None for a piece."""


def check_fields(message: bytes, containers: Collection[int] = ()) -> None:
    """Counts the fields of a serialized message, and of those of its fields that are messages and named by number.

    Raises:
        PayloadTooLargeError: there are more than `MAX_FIELDS` in one of them.
    """
    if len(message) <= MAX_UNCOUNTED_BYTES:
        return
    for count, field in enumerate(fields_of(message, 0, len(message)), 1):
        _check_count(count)
        if field.number in containers:
            for inner, _ in enumerate(fields_of(message, field.start, field.end), 1):
                _check_count(inner)


def bytes_beside_pieces(message: bytes, layout: Layout) -> int:
    """The bytes that parsing has to go through, without those of pieces, which are copied whole.

    Pieces behind the first `MAX_FIELDS` fields are not looked for.
    """
    pieces = _Pieces()
    if len(message) > MAX_UNCOUNTED_BYTES:
        pieces.add(message, 0, len(message), layout)
    return len(message) - pieces.size


class _Pieces:
    def __init__(self) -> None:
        self.size = 0
        self._fields = 0

    def add(self, message: bytes, start: int, end: int, layout: Layout) -> None:
        for field in fields_of(message, start, end):
            self._fields += 1
            if self._fields > MAX_FIELDS:
                return
            if field.is_bytes and field.number in layout:
                inner = layout[field.number]
                if inner is None:
                    self.size += field.end - field.start
                else:
                    self.add(message, field.start, field.end, inner)


def _check_count(count: int) -> None:
    if count > MAX_FIELDS:
        raise PayloadTooLargeError(f"expected at most {MAX_FIELDS:,} fields in a message, received more")
