"""Arrays on their way from the helper process: those of strings travel as numbers, which take no time to send."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from serving.wire.turns import VALUES_AT_ONCE, give_way

Inputs = dict[str, np.ndarray]


class _Strings(NamedTuple):
    """An array of byte strings as two of numbers."""

    shape: tuple[int, ...]
    ends: np.ndarray
    content: np.ndarray


Packed = dict[str, np.ndarray | _Strings]


def pack(inputs: Mapping[str, np.ndarray]) -> Packed:
    """The arrays as they travel; this is for the helper process."""
    return {name: _pack(array) for name, array in inputs.items()}


async def unpack(packed: Packed) -> Inputs:
    """The arrays again; strings are made in a thread, which gives way to the event loop."""
    if any(isinstance(values, _Strings) for values in packed.values()):
        return await asyncio.to_thread(_unpack, packed)
    return _unpack(packed)


def _pack(array: np.ndarray) -> np.ndarray | _Strings:
    if array.dtype != object:
        return np.ascontiguousarray(array) if array.ndim else array
    flat = array.ravel().tolist()
    ends = np.cumsum(np.fromiter(map(len, flat), np.int64, len(flat)))
    return _Strings(array.shape, ends, np.frombuffer(b"".join(flat), np.uint8))


def _unpack(packed: Packed) -> Inputs:
    return {name: _strings(values) if isinstance(values, _Strings) else values for name, values in packed.items()}


def _strings(packed: _Strings) -> np.ndarray:
    content, count = packed.content.tobytes(), len(packed.ends)
    array = np.empty(count, object)
    begin = 0
    for first in range(0, count, VALUES_AT_ONCE):
        if first:
            give_way()
        ends = packed.ends[first : first + VALUES_AT_ONCE].tolist()
        begins = [begin, *ends[:-1]]
        array[first : first + len(ends)] = [content[start:end] for start, end in zip(begins, ends, strict=True)]
        begin = ends[-1]
    return array.reshape(packed.shape)
