"""Requests whose tensors have no rows (scalars, unknown ranks, sizes of their own) run one at a time, as they are.

To the batcher each one is a single row: a dimension of 1 is put in front, and taken away before the model runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]


def as_row(tensors: Arrays) -> dict[str, np.ndarray]:
    """Views with a dimension of 1 in front."""
    return {name: array[np.newaxis] for name, array in tensors.items()}


def of_row(rows: Arrays) -> dict[str, np.ndarray]:
    """Views without it."""
    return {name: array.reshape(array.shape[1:]) for name, array in rows.items()}


def alone(run: Callable[..., Any]) -> Callable[..., Any]:
    """The model's run, or its coroutine function, for what `as_row` has made."""
    if inspect.iscoroutinefunction(run):

        async def run_alone_async(rows: Arrays, *more: Any) -> dict[str, np.ndarray]:
            return as_row(await run(of_row(rows), *more))

        return run_alone_async

    def run_alone(rows: Arrays, *more: Any) -> dict[str, np.ndarray]:
        return as_row(run(of_row(rows), *more))

    return run_alone
