"""Answers as bytes: written here where that is quick, in the helper process where others would wait for it.

Writing holds Python's lock. As JSON, 16 MB of floats take a fifth of a second, and two seconds with NaN among them; in
a gRPC message a million integers take a tenth, and as many classes with their labels four.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import numpy as np

from serving.in_thread import in_thread
from serving.offload.arrays import Packed, pack, packed_bytes, unpack
from serving.offload.helper_process import HelperProcess
from serving.signatures import Tensors

MAX_WRITTEN_HERE_VALUES = 64 * 1024
"""Takes five milliseconds at most, and some fifty as classes with labels or as JSON with NaN in it."""
MAX_WRITTEN_HERE_BYTES = 512 * 1024
"""Of strings."""

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


class AnswerWriter:
    """Writes answers of any length."""

    def __init__(self, process: HelperProcess) -> None:
        self._process = process

    async def write(
        self,
        one_by_one: Iterable[np.ndarray],
        encode: Callable[Concatenate[Tensors, P], ResultT],
        arrays: Tensors,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> ResultT:
        """What `encode(arrays, *args, **kwargs)` returns, which has to be a function of a module.

        `one_by_one` are those of the arrays whose values are written one after the other; the others are copied whole.

        Raises:
            OverloadedError, UnavailableError: see `HelperProcess.call`.
            ServingError: what `encode` raises.
        """
        if _is_short(one_by_one):
            return encode(arrays, *args, **kwargs)
        packed = await in_thread(None, pack, arrays)
        return cast("ResultT", await self._process.call(packed_bytes(packed), _encode, encode, packed, args, kwargs))


def _is_short(arrays: Iterable[np.ndarray]) -> bool:
    values = string_bytes = 0
    for array in arrays:
        values += array.size
        if values > MAX_WRITTEN_HERE_VALUES:
            return False
        if array.dtype.hasobject:
            string_bytes += sum(map(len, array.flat))
    return string_bytes <= MAX_WRITTEN_HERE_BYTES


def _encode(encode: Callable[..., Any], packed: Packed, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The answer, with its bytes to travel beside the pickle, which would have them copied with Python's lock held."""
    answer = encode(unpack(packed), *args, **kwargs)
    return tuple(map(_beside, answer)) if isinstance(answer, tuple) else _beside(answer)


def _beside(part: Any) -> Any:
    return pickle.PickleBuffer(part) if isinstance(part, bytes) else part
