"""JSON of answers: written here where it is short, in the helper process where others would wait for it.

Writing holds Python's lock: 16 MB of floats take a fifth of a second, and two seconds with NaN among them.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from serving.offload.helper_process import HelperProcess

MAX_WRITTEN_HERE_BYTES = 512 * 1024
"""As JSON, roughly: takes five milliseconds at most, and with NaN in it some fifty."""
_NUMBER_BYTES = 8

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


class JsonWriter:
    """Writes answers of any length."""

    def __init__(self, process: HelperProcess) -> None:
        self._process = process

    async def write(
        self, arrays: Iterable[np.ndarray], encode: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs
    ) -> ResultT:
        """What `encode(*args, **kwargs)` returns, which has to be a function of a module; `arrays` are what it writes.

        Raises:
            OverloadedError, UnavailableError: see `HelperProcess.call`.
            ServingError: what `encode` raises.
        """
        size = sum(map(_json_bytes, arrays))
        if size <= MAX_WRITTEN_HERE_BYTES:
            return encode(*args, **kwargs)
        return cast("ResultT", await self._process.call(size, _encode, encode, args, kwargs))


def _encode(encode: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The answer, with its bytes to travel beside the pickle, which would have them copied with Python's lock held."""
    answer = encode(*args, **kwargs)
    return tuple(map(_beside, answer)) if isinstance(answer, tuple) else _beside(answer)


def _beside(part: Any) -> Any:
    return pickle.PickleBuffer(part) if isinstance(part, bytes) else part


def _json_bytes(array: np.ndarray) -> int:
    numbers = _NUMBER_BYTES * array.size
    return numbers + sum(map(len, array.flat)) if array.dtype.hasobject else numbers
