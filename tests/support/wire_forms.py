"""Hand-written protobuf fields, for encodings that no library writes any more."""

from __future__ import annotations

import struct
from collections.abc import Iterable

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def varint(value: int) -> bytes:
    """A number in groups of seven bits; negative ones as their 64-bit two's complement."""
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def field(number: int, wire_type: int, content: bytes) -> bytes:
    """One field: its key, and its content, which has its length in front where the type is BYTES."""
    length = varint(len(content)) if wire_type == BYTES else b""
    return varint(number << 3 | wire_type) + length + content


def unpacked_floats(number: int, values: Iterable[float]) -> bytes:
    """A repeated float the way proto2 writes it: a key in front of each value."""
    return b"".join(field(number, FIXED32, struct.pack("<f", value)) for value in values)


def unpacked_doubles(number: int, values: Iterable[float]) -> bytes:
    """A repeated double the way proto2 writes it."""
    return b"".join(field(number, FIXED64, struct.pack("<d", value)) for value in values)


def unpacked_varints(number: int, values: Iterable[int]) -> bytes:
    """A repeated integer the way proto2 writes it."""
    return b"".join(field(number, VARINT, varint(value)) for value in values)


def tensor_head(dtype: int, shape: Iterable[int]) -> bytes:
    """`dtype` and `tensor_shape` of a TensorProto."""
    dims = b"".join(field(2, BYTES, field(1, VARINT, varint(size))) for size in shape)
    return field(1, VARINT, varint(dtype)) + field(2, BYTES, dims)
