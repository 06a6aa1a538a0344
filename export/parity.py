"""How closely two runtimes answer alike: figures, pure arithmetic on arrays of answers. `verdict.py` judges them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from serving.bundle import Parity

NAMES = ("tensorflow", "onnx")
TIE_TOLERANCE = 1e-5
LARGEST_PROBABILITY = 1 + 1e-6
"""In float32, the quotients of a softmax may be a little more than 1."""


@dataclass(frozen=True)
class Comparison:
    """The figures of one kind of input, such as the test split."""

    inputs: str
    parity: Parity


def compare_scores(
    reference: np.ndarray,
    candidate: np.ndarray,
    *,
    names: tuple[str, str] = NAMES,
    tie_tolerance: float = TIE_TOLERANCE,
) -> Parity:
    """Compares two float arrays of scores `[N, classes]`, row by row.

    Scores that are no probabilities, such as logits, have a relative difference too: `|candidate - reference|` as a
    share of the largest score of the reference's row, or of 1 where that is smaller.

    Rows agree when their highest score is at the same class, or when the two classes chosen are tied: less
    than `tie_tolerance` apart by the reference's scores and by the candidate's. Which of two equals comes
    first says nothing about the model. A number that is not finite counts as an infinite difference and as
    no agreement.

    Args:
        reference: the scores to be matched.
        candidate: the scores held against them.
        names: the runtimes of `reference` and `candidate`, for the record.
        tie_tolerance: in units of the scores.

    Raises:
        ValueError: the shapes differ, or there is no row or no class.
    """
    if reference.shape != candidate.shape or reference.ndim != 2 or 0 in reference.shape:
        raise ValueError(f"expected scores [N, classes], received {reference.shape} and {candidate.shape}")
    finite = np.isfinite(reference).all(axis=1) & np.isfinite(candidate).all(axis=1)
    with np.errstate(invalid="ignore"):  # rows that are not finite are told apart by `finite`
        difference = np.abs(reference.astype(np.float64) - candidate.astype(np.float64))
        agreed = finite & _same_choice(reference, candidate, tie_tolerance)
        relative = difference / np.maximum(1, np.abs(reference).max(axis=1, keepdims=True))
    all_finite, infinite = bool(finite.all()), float("inf")
    are_probabilities = all_finite and bool(((reference >= 0) & (reference <= LARGEST_PROBABILITY)).all())
    return Parity(
        runtime=names[1],
        reference=names[0],
        examples=len(reference),
        max_abs_difference=float(difference.max()) if all_finite else infinite,
        max_relative_difference=None if are_probabilities or not all_finite else float(relative.max()),
        top1_agreement=float(np.mean(agreed)),
    )


def compare_predictions(reference: np.ndarray, candidate: np.ndarray, *, names: tuple[str, str] = NAMES) -> Parity:
    """Compares two float arrays of predictions `[N, 1]`, row by row.

    The relative difference is `|candidate - reference| / max(1, |reference|)`: absolute for small predictions, whose
    last digits are those of larger sums. A number that is not finite counts as an infinite difference.

    Raises:
        ValueError: the shapes differ, or there is no row.
    """
    if reference.shape != candidate.shape or reference.shape[1:] != (1,) or not len(reference):
        raise ValueError(f"expected predictions [N, 1], received {reference.shape} and {candidate.shape}")
    is_finite = bool(np.isfinite(reference).all() and np.isfinite(candidate).all())
    expected = reference.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.abs(candidate.astype(np.float64) - expected)
        relative = difference / np.maximum(1, np.abs(expected))
    return Parity(
        runtime=names[1],
        reference=names[0],
        examples=len(reference),
        max_abs_difference=float(difference.max()) if is_finite else float("inf"),
        max_relative_difference=float(relative.max()) if is_finite else float("inf"),
    )


def _same_choice(reference: np.ndarray, candidate: np.ndarray, tie_tolerance: float) -> np.ndarray:
    """bool `[N]`. Where both chose the same class, both gaps are 0."""
    rows = np.arange(len(reference))
    choice, other_choice = reference.argmax(axis=1), candidate.argmax(axis=1)
    gap = reference[rows, choice] - reference[rows, other_choice]
    other_gap = candidate[rows, other_choice] - candidate[rows, choice]
    tied = (gap < tie_tolerance) & (other_gap < tie_tolerance)
    return np.asarray((choice == other_choice) | tied)


def accuracy(scores: np.ndarray, classes: np.ndarray) -> float:
    """The share of rows of `scores` `[N, classes]` that are highest at the right one of `classes` `[N]`."""
    return float(np.mean(scores.argmax(axis=1) == classes))


def mean_absolute_error(predictions: np.ndarray, targets: np.ndarray) -> float:
    """How far `predictions` `[N, 1]` are from `targets` `[N, 1]` on average, in the targets' unit."""
    return float(np.mean(np.abs(predictions.astype(np.float64) - targets)))
