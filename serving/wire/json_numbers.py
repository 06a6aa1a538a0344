"""A JSON body of one tensor straight to numpy, without an object of Python's for each number; simdjson parses it.

Only for bodies that leave no question open: whatever is unusual is None here, and is read, or refused with its reason,
by serving/wire/json_tensors.py. A property of its tests is that both ways give the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
import simdjson

from serving.signatures import TensorSpec

_NOT_OF_THE_SKELETON = bytes(set(range(256)) - set(b'[]{},"'))
_BEFORE_NUMBERS = b"[ \t\r\n"
_STARTS_OF_OTHERS = (b'"', b"{")
_REFUSALS = (ValueError, TypeError, RuntimeError)
"""What simdjson raises for bad JSON, for other values than numbers, and for those out of range or over 64 bits."""
_DTYPES = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "float32", "float64"})
"""Those that float64 or int64 hold."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A list of numbers, or of such lists, as it was sent, and all its numbers in one row.

    They are int64, or float64 where one of them is a decimal.
    """

    text: bytes
    flat: np.ndarray

    def decode(self, spec: TensorSpec) -> np.ndarray | None:
        """The list in the dtype and shape of `spec`, of which the first size alone may be free.

        None for other specs, and for numbers that do not fit: another shape, decimals for integers, or out of range.
        """
        row_shape, row_size = _row_of(spec.shape)
        if spec.dtype not in _DTYPES or not spec.shape or not row_size:
            return None
        # simdjson flattens lists, however they are nested. As it has checked the grammar, and there are no more numbers
        # than commas leave room for, brackets and commas in the right places are the right shape.
        rows, rest = divmod(self.flat.size, row_size)
        if rest or self.text.translate(None, _NOT_OF_THE_SKELETON) != _skeleton_of((rows, *row_shape)):
            return None
        fitting = _decimals(self.flat, spec) if spec.element.kind == "f" else _integers(self.flat, spec)
        return None if fitting is None else fitting.reshape(rows, *row_shape)


def parse_around_numbers(body: bytes) -> tuple[dict[str, Any], str, Numbers] | None:
    """Takes an object apart that holds one list, of numbers: the object with that list empty, its key, the numbers."""
    begin, end = body.find(b"["), body.rfind(b"]") + 1
    if not 0 < begin < end or body[begin : begin + 64].lstrip(_BEFORE_NUMBERS).startswith(_STARTS_OF_OTHERS):
        return None
    text = body[begin:end]
    try:
        document = orjson.loads(b"%b[]%b" % (body[:begin], body[end:]))
        flat = _flat_numbers(simdjson.Parser().parse(text))
    except _REFUSALS:
        return None
    keys = [key for key, value in document.items() if value == []] if isinstance(document, dict) else []
    return None if len(keys) != 1 or not flat.size else (document, keys[0], Numbers(text, flat))


def _flat_numbers(values: Any) -> np.ndarray:
    """Raises one of `_REFUSALS` for other values."""
    try:
        return np.frombuffer(values.as_buffer(of_type="i"), np.int64)
    except _REFUSALS:
        return np.frombuffer(values.as_buffer(of_type="d"), np.float64)


@lru_cache(maxsize=64)
def _row_of(shape: tuple[int | None, ...]) -> tuple[tuple[int, ...], int]:
    """A row's shape and how many numbers it has, 0 where a size is free."""
    row_shape = tuple(size or 0 for size in shape[1:])
    return row_shape, math.prod(row_shape)


def _skeleton_of(shape: tuple[int, ...]) -> bytes:
    return b"[" + b",".join([_row_skeleton(shape[1:])] * shape[0]) + b"]"


@lru_cache(maxsize=16)
def _row_skeleton(shape: tuple[int, ...]) -> bytes:
    return _skeleton_of(shape) if shape else b""


def _decimals(numbers: np.ndarray, spec: TensorSpec) -> np.ndarray | None:
    """None where one of them is out of range. By way of float64, as Python's numbers are: rounding twice may differ."""
    wide = numbers.astype(np.float64, copy=False)
    if spec.dtype == "float64":
        return wide
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    return None if np.isinf(narrow).any() else narrow


def _integers(numbers: np.ndarray, spec: TensorSpec) -> np.ndarray | None:
    """None for decimals, and where one of them is out of range, which the way there and back tells soonest."""
    if numbers.dtype != np.int64:
        return None
    narrow = numbers.astype(spec.element.numpy)
    return narrow if narrow.astype(np.int64).tobytes() == numbers.tobytes() else None
