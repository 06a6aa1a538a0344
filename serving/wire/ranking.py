"""Which classes are the best: the one order in which every protocol tells them."""

from __future__ import annotations

import numpy as np


def best_first(scores: np.ndarray, count: int) -> np.ndarray:
    """The classes of the `count` highest scores of each row, [N, classes] to [N, count] at most, best first.

    Equal scores stay in the order of the classes, and what is no number comes last.
    """
    return (-scores.astype(np.float64)).argsort(axis=1, kind="stable")[:, :count]
