"""What to train with, and what to watch the training with."""

from __future__ import annotations

import numpy as np

from training.datasets.base import Dataset, Split
from training.datasets.storage import on_disk
from training.errors import UsageError

ROWS_COPIED_AT_ONCE = 256


def training_and_validation(dataset: Dataset, fraction: float, seed: int) -> tuple[Split, Split | None]:
    """What to train with and what to watch the training with.

    That is the data set's own validation split, or else a part of the training examples, drawn the same way for the
    same seed; None where `fraction` is 0.

    Raises:
        UsageError: either part would be empty.
        DatasetError: examples that are not in memory do not fit on the disk a second time.
    """
    split = dataset.train
    if dataset.validation is not None:
        return split, dataset.validation
    if fraction == 0:
        return split, None
    held_out = round(len(split) * fraction)
    if not 0 < held_out < len(split):
        raise UsageError(
            f"a validation split of {fraction} leaves one part of {len(split)} examples empty: "
            "expected more examples or another share; 0 validates nothing"
        )
    order = np.random.default_rng(seed).permutation(len(split))
    if split.targets.dtype.kind == "i":
        order = _with_every_class_in_both(order, held_out, split.targets)
    return _part(split, order[held_out:]), _part(split, order[:held_out])


def _with_every_class_in_both(order: np.ndarray, held_out: int, targets: np.ndarray) -> np.ndarray:
    """The order, changed only where chance has left a small class out of what is trained with or held out.

    Such a class gets one example there, in exchange for one of that part's most frequent class. What is trained with
    comes first: a class of one example is trained with.
    """
    order = order.copy()
    parts = {"validation": slice(None, held_out), "training": slice(held_out, None)}
    for needy, giver, least in (("training", "validation", 1), ("validation", "training", 2)):
        wanting, giving = order[parts[needy]], order[parts[giver]]  # views: what is exchanged here changes the order
        for label in np.setdiff1d(targets[giving], targets[wanting]):
            places = np.flatnonzero(targets[giving] == label)
            counts = np.bincount(targets[wanting])
            if len(places) < least or counts.max() < 2:
                continue
            spare = np.flatnonzero(targets[wanting] == counts.argmax())[0]
            wanting[spare], giving[places[0]] = giving[places[0]], wanting[spare]
    return order


def _part(split: Split, rows: np.ndarray) -> Split:
    """Those examples; of a mapped file, in another one, since they may be more than memory should hold."""
    if not isinstance(split.inputs, np.memmap):
        return split.take(rows)
    inputs = on_disk((len(rows), *split.inputs.shape[1:]))
    for start in range(0, len(rows), ROWS_COPIED_AT_ONCE):
        some = slice(start, start + ROWS_COPIED_AT_ONCE)
        inputs[some] = split.inputs[rows[some]]
    return Split(inputs, split.targets[rows])
