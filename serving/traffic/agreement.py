"""Whether two versions give the same answer to the same input, and how far their numbers are apart. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from serving.signatures import Signature, Tensors

_SCORES_RANK = 2


class Agreement(NamedTuple):
    """The comparison of one request's rows."""

    rows: int
    agreeing: int
    max_distance: float
    """The largest absolute difference of any two numbers; infinite where one of them is no number."""
    mean_distance: float
    """The mean of all absolute differences."""


class IncomparableError(ValueError):
    """The answers have different forms; the text says which."""


def scores_of(signature: Signature) -> str | None:
    """The name of a classification's scores; None for a signature that does not give one score for each class.

    Those are the first output of numbers of shape [rows, classes], with more than one class.
    """
    for spec in signature.outputs:
        several = len(spec.shape) == _SCORES_RANK and spec.shape[1] != 1
        if several and spec.element.kind == "f":
            return spec.name
    return None


def compare(
    primary: Tensors,
    shadow: Tensors,
    *,
    scores: str | None,
    labels: tuple[Sequence[str], Sequence[str]] = ((), ()),
    tolerance: float,
) -> Agreement:
    """Holds one version's answer against another's, row by row.

    With `scores`, the name of the output [rows, classes] of both, rows agree that have the same best class: by its name
    where both versions have `labels`. Without, those agree whose numbers all differ by at most `tolerance` and whose
    strings are equal.

    Raises:
        IncomparableError: an output is missing, or its shapes have nothing to do with each other.
    """
    if scores is not None:
        return _compare_scores(_output(primary, scores), _output(shadow, scores), labels)
    rows = len(next(iter(primary.values()), ()))
    agreeing = np.ones(rows, bool)
    distances = []
    for name, ours in primary.items():
        theirs = _output(shadow, name)
        if ours.shape != theirs.shape:
            raise IncomparableError(f'output "{name}" has shape {list(ours.shape)} and {list(theirs.shape)}')
        if any(array.dtype == object for array in (ours, theirs)):
            agreeing &= (ours == theirs).reshape(rows, -1).all(axis=1)
        else:
            distance = _distances(ours, theirs).reshape(rows, -1)
            agreeing &= (distance <= tolerance).all(axis=1)
            distances.append(distance)
    return _agreement(rows, agreeing, np.concatenate(distances, axis=1) if distances else np.zeros((rows, 0)))


def _compare_scores(ours: np.ndarray, theirs: np.ndarray, labels: tuple[Sequence[str], Sequence[str]]) -> Agreement:
    if ours.ndim != _SCORES_RANK or theirs.ndim != _SCORES_RANK or len(ours) != len(theirs):
        raise IncomparableError(f"scores have shape {list(ours.shape)} and {list(theirs.shape)}")
    rows = len(ours)
    if not ours.shape[1] or not theirs.shape[1]:
        raise IncomparableError("there are no classes")
    best = [scores.argmax(axis=1) for scores in (ours, theirs)]
    named = all(len(names) == scores.shape[1] for names, scores in zip(labels, (ours, theirs), strict=True))
    if named:
        agreeing = np.array([labels[0][one] == labels[1][other] for one, other in zip(*best, strict=True)], bool)
    else:
        agreeing = best[0] == best[1]
    same_classes = list(labels[0]) == list(labels[1]) if named else ours.shape == theirs.shape
    return _agreement(rows, agreeing, _distances(ours, theirs) if same_classes else np.zeros((rows, 0)))


def _agreement(rows: int, agreeing: np.ndarray, distances: np.ndarray) -> Agreement:
    if not distances.size:
        return Agreement(rows, int(agreeing.sum()), 0.0, 0.0)
    return Agreement(rows, int(agreeing.sum()), float(distances.max()), float(distances.mean()))


def _distances(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Absolute differences as float64: 0 where both are equal or both no number, infinite where only one is."""
    widest = np.complex128 if "c" in ours.dtype.kind + theirs.dtype.kind else np.float64
    first, second = ours.astype(widest), theirs.astype(widest)
    with np.errstate(invalid="ignore"):
        distances: np.ndarray = np.abs(first - second)
    distances[np.isnan(distances)] = np.inf
    distances[(first == second) | (np.isnan(first) & np.isnan(second))] = 0.0
    return distances


def _output(outputs: Tensors, name: str) -> np.ndarray:
    try:
        return outputs[name]
    except KeyError:
        raise IncomparableError(f'output "{name}" is missing, there is {", ".join(outputs) or "none"}') from None
