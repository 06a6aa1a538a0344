"""Header blocks of one connection, which share a table of fields (RFC 7541), as heads of requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hpack

from serving.http.known_heads import KnownHeads
from serving.http.requests import MAX_HEADERS_BYTES, Client, Head
from serving.http2.requests import head_of
from serving.wire.http2 import (
    COMPRESSION_ERROR,
    END_HEADERS,
    ENHANCE_YOUR_CALM,
    MAX_BLOCK_BYTES,
    Fields,
    Frame,
    ProtocolError,
)

_MAX_FIELDS = 1000
_MAX_BYTES = 2 * MAX_HEADERS_BYTES
"""A request with more headers than there may be is answered, one with as many as this ends its connection."""
_SMALL_BLOCK_BYTES = 2048
"""hpack copies the rest of a block for each field."""
_MAX_SHIFT = 28
_TABLE_SIZE = 0x20
"""A change of the table's size, which comes before all fields."""


class Assembly:
    """Makes blocks whole that come in several frames, as few do."""

    def __init__(self) -> None:
        self.is_begun = False
        """Whether a block is not complete yet."""
        self._first: Frame | None = None
        self._block = bytearray()

    def begin(self, frame: Frame) -> None:
        """HEADERS that more of the block will follow."""
        self.is_begun, self._first, self._block = True, frame, bytearray(frame.content())

    def go_on(self, frame: Frame) -> tuple[Frame, bytes] | None:
        """CONTINUATION: the frame that began the block, and the block, once it is there.

        Raises:
            ProtocolError: another block's continuation, or a block that is too long.
        """
        if self._first is None or self._first.stream != frame.stream:
            raise ProtocolError("the continuation of no header block")
        self._block += frame.payload
        if len(self._block) > MAX_BLOCK_BYTES:
            raise ProtocolError(f"a header block of more than {MAX_BLOCK_BYTES} bytes", ENHANCE_YOUR_CALM)
        if not frame.flags & END_HEADERS:
            return None
        first, self._first, self.is_begun = self._first, None, False
        return first, bytes(self._block)


class HeadReader:
    """Reads them in the order in which they come."""

    def __init__(self, client: Client | None = None) -> None:
        self._client = client
        self._decoder = hpack.Decoder(_MAX_BYTES)
        self._known = KnownHeads[Head]()
        """By block, as long as the table stays as it is. Most requests of a connection have the same one."""
        self.known = self._known.get
        """The head of an earlier request with the same block, where that still means the same."""

    def read(self, block: bytes) -> Head:
        """The head of a request.

        Raises:
            MalformedRequestError: see there.
            ProtocolError: see `fields`.
        """
        before = self._table()
        head = head_of(self.fields(block), self._client)
        if self._is_table(before):
            self._known.keep(block, head, head)
        return head

    def fields(self, block: bytes) -> Fields:
        """The fields of any header block.

        Raises:
            ProtocolError: it is damaged, or has far too many; the connection can't go on.
        """
        before = self._table()
        try:
            if len(block) <= _SMALL_BLOCK_BYTES:
                return list(self._decoder.decode(block, raw=True))
            return self._fields_one_by_one(block)
        except hpack.OversizedHeaderListError as error:
            raise ProtocolError(f"a header block of more than {_MAX_BYTES} bytes", ENHANCE_YOUR_CALM) from error
        except (hpack.HPACKError, IndexError) as error:
            raise ProtocolError("a header block that cannot be read", COMPRESSION_ERROR) from error
        finally:
            if not self._is_table(before):
                self._known.clear()

    def _fields_one_by_one(self, block: bytes) -> Fields:
        fields: list[tuple[bytes, bytes]] = []
        size = 0
        for part in split_block(block):
            if fields and part[0] & 0xE0 == _TABLE_SIZE:
                raise hpack.HPACKDecodingError
            for field in self._decoder.decode(part, raw=True):
                size += len(field[0]) + len(field[1])
                fields.append(field)
            if len(fields) > _MAX_FIELDS or size > _MAX_BYTES:
                raise hpack.OversizedHeaderListError
        return fields

    def _table(self) -> tuple[int, int, Any]:
        """What tells one state of the table from the next: its newest field is an object of its own."""
        table = self._decoder.header_table
        entries = table.dynamic_entries
        return table.maxsize, len(entries), entries[0] if entries else None

    def _is_table(self, before: tuple[int, int, Any]) -> bool:
        now = self._table()
        return now[:2] == before[:2] and now[2] is before[2]


def split_block(block: bytes) -> Iterator[bytes]:
    """The fields of a header block, each as a block of its own.

    Raises:
        IndexError: the block ends in the middle of one, or a number in it is too long.
    """
    start = 0
    while start < len(block):
        first = block[start]
        if first & 0x80:
            end = _after_number(block, start, 7)[0]
        elif first & 0xE0 == _TABLE_SIZE:
            end = _after_number(block, start, 5)[0]
        else:
            end, name = _after_number(block, start, 6 if first & 0x40 else 4)
            if not name:
                end = _after_text(block, end)
            end = _after_text(block, end)
        yield block[start:end]
        start = end


def _after_number(block: bytes, start: int, bits: int) -> tuple[int, int]:
    """Where a number ends that begins with the last bits of a byte, and the number (RFC 7541, section 5.1)."""
    most = (1 << bits) - 1
    number = block[start] & most
    end = start + 1
    if number < most:
        return end, number
    for shift in range(0, _MAX_SHIFT + 1, 7):
        byte = block[end]
        end += 1
        number += (byte & 0x7F) << shift
        if not byte & 0x80:
            return end, number
    raise IndexError("a number of more than 32 bits")


def _after_text(block: bytes, start: int) -> int:
    end, length = _after_number(block, start, 7)
    return end + length
