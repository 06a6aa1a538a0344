"""The arrays of a batch: joined from its requests', padded to a size that is allowed, and handed out again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serving.batching.entry import Arrays, Entry
from serving.errors import InferenceError, ServingError


def join(inputs: Sequence[Arrays], rows: int) -> Arrays:
    """All requests' rows in their order, and the first row again until there are `rows`: one that the model takes."""
    missing = rows - sum([_rows_of(part) for part in inputs])
    if len(inputs) == 1 and not missing:
        return inputs[0]
    joined = {}
    for name, first in inputs[0].items():
        arrays = [part[name] for part in inputs]
        if missing:
            arrays.append(np.broadcast_to(first[:1], (missing, *first.shape[1:])))
        joined[name] = np.concatenate(arrays)
    return joined


def check_rows(outputs: Arrays, rows: int) -> ServingError | None:
    """What is wrong with a model's outputs for `rows` rows."""
    for name, array in outputs.items():
        if array.shape[:1] != (rows,):
            return InferenceError(f'output "{name}": expected {rows} rows from the model, received shape {array.shape}')
    return None


def hand_out(batch: Sequence[Entry], outputs: dict[str, np.ndarray], rows: int) -> None:
    """Answers each request with its own rows; those after the batch's `rows` were padding."""
    start = 0
    if len(batch) == 1:
        if _rows_of(outputs) > rows:
            outputs = {name: array[:rows] for name, array in outputs.items()}
        batch[0].resolve(outputs)
        return
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


def _rows_of(outputs: Arrays) -> int:
    return next((len(array) for array in outputs.values()), 0)
