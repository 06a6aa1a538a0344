"""The arrays of a batch: joined from its requests', padded to a size that is allowed, and handed out again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serving.batching.entry import Arrays, Entry
from serving.errors import InferenceError, ServingError


def join(inputs: Sequence[Arrays], padding_rows: int) -> Arrays:
    """All requests' rows in their order, and `padding_rows` times the first row again: one that the model takes."""
    if len(inputs) == 1 and not padding_rows:
        return inputs[0]
    joined = {}
    for name, first in inputs[0].items():
        arrays = [part[name] for part in inputs]
        if padding_rows:
            arrays.append(np.broadcast_to(first[:1], (padding_rows, *first.shape[1:])))
        joined[name] = np.concatenate(arrays)
    return joined


def check_rows(outputs: Arrays, rows: int) -> ServingError | None:
    """What is wrong with a model's outputs for `rows` rows."""
    for name, array in outputs.items():
        if array.shape[:1] != (rows,):
            return InferenceError(f'output "{name}": expected {rows} rows from the model, received shape {array.shape}')
    return None


def hand_out(batch: Sequence[Entry], outputs: dict[str, np.ndarray]) -> None:
    """Answers each request with its own rows; those after the last request's were padding."""
    start = 0
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        for entry in batch:
            end = start + entry.rows
            entry.resolve({name: array[start:end]})
            start = end
        return
    for entry in batch:
        part = slice(start, start + entry.rows)
        entry.resolve({name: array[part] for name, array in outputs.items()})
        start = part.stop


def first_rows(outputs: Arrays, rows: int) -> dict[str, np.ndarray]:
    """The rows before the padding."""
    return {name: array[:rows] for name, array in outputs.items()}
