"""Arrays on their way to and from the helper process: those of strings travel as numbers, which are sent at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from serving.in_thread import in_thread
from serving.wire.turns import VALUES_AT_ONCE, give_way

Inputs = dict[str, np.ndarray]


class _Strings(NamedTuple):
    """An array of byte strings as two of numbers; `shape` is what it is spread to from `kept`, as labels are."""

    shape: tuple[int, ...]
    kept: tuple[int, ...]
    ends: np.ndarray
    content: np.ndarray


Packed = dict[str, np.ndarray | _Strings]


def pack(arrays: Mapping[str, np.ndarray]) -> Packed:
    """The arrays as they travel; with strings among them, a thread that does this gives way to the event loop."""
    return {name: _pack(array) for name, array in arrays.items()}


def unpack(packed: Packed) -> Inputs:
    """The arrays again; gives way as `pack` does."""
    return {name: _strings(values) if isinstance(values, _Strings) else values for name, values in packed.items()}


async def unpack_aside(packed: Packed) -> Inputs:
    """The arrays again; strings are made in a thread."""
    if any(isinstance(values, _Strings) for values in packed.values()):
        return await in_thread(None, unpack, packed)
    return unpack(packed)


def packed_bytes(packed: Packed) -> int:
    """What they take while they wait."""
    return sum(
        values.ends.nbytes + values.content.nbytes if isinstance(values, _Strings) else values.nbytes
        for values in packed.values()
    )


def _pack(array: np.ndarray) -> np.ndarray | _Strings:
    if array.dtype != object:
        return np.ascontiguousarray(array) if array.ndim else array
    kept = array[tuple(slice(None) if step else slice(1) for step in array.strides)]
    flat = kept.reshape(-1)
    lengths = np.empty(flat.size, np.int64)
    contents = []
    for first in range(0, flat.size, VALUES_AT_ONCE):
        if first:
            give_way()
        strings = flat[first : first + VALUES_AT_ONCE].tolist()
        lengths[first : first + len(strings)] = list(map(len, strings))
        contents.append(b"".join(strings))
    return _Strings(array.shape, kept.shape, lengths.cumsum(), np.frombuffer(b"".join(contents), np.uint8))


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
    kept = array.reshape(packed.kept)
    return kept if packed.kept == packed.shape else np.broadcast_to(kept, packed.shape)
