"""Which examples of a data set without splits of its own are kept from training."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def held_out(names: Sequence[str], targets: np.ndarray, fraction: float) -> np.ndarray:
    """Chooses that part of every class whose names have the lowest SHA-256.

    So the choice is fixed: it is the same in every run, on every machine and with every library, and an image that
    comes to the data set hardly moves the others from one side to the other.

    Args:
        names: of the examples; different from each other.
        targets: their classes, int64 `[N]`.
        fraction: the part of every class to hold out, to the nearest number; of a class with at least two examples at
            least one is held out and one is not, a class with only one is not held out.

    Returns:
        bool `[N]`, True for what is held out.
    """
    chosen = np.zeros(len(names), dtype=bool)
    for target in np.unique(targets):
        ranked = sorted(np.flatnonzero(targets == target).tolist(), key=lambda position: _digest(names[position]))
        count = min(max(1, round(fraction * len(ranked))), len(ranked) - 1)
        chosen[ranked[:count]] = True
    return chosen


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
