"""Whether two runtimes answer alike: figures and verdict, pure arithmetic on arrays of answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from serving.bundle import Parity

MAX_ABS_DIFFERENCE = 1e-4
MIN_TOP1_AGREEMENT = 1.0
MAX_RELATIVE_DIFFERENCE = 1e-5
"""Of predictions, which have no scale of their own: about a hundred times float32's precision."""
METRIC_TOLERANCE = 1e-3
"""The figure that training recorded was measured in other batch sizes: near ties may fall otherwise."""
NAMES = ("tensorflow", "onnx")


@dataclass(frozen=True)
class Limits:
    """What may differ at most for a bundle to be published; scores by the first two, predictions by the last."""

    max_abs_difference: float = MAX_ABS_DIFFERENCE
    min_top1_agreement: float = MIN_TOP1_AGREEMENT
    max_relative_difference: float = MAX_RELATIVE_DIFFERENCE


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
    tie_tolerance: float = MAX_ABS_DIFFERENCE,
) -> Parity:
    """Compares two float arrays of scores `[N, classes]`, row by row.

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
    if reference.shape != candidate.shape or reference.ndim != 2 or 0 in reference.shape:  # noqa: PLR2004
        raise ValueError(f"expected scores [N, classes], received {reference.shape} and {candidate.shape}")
    finite = np.isfinite(reference).all(axis=1) & np.isfinite(candidate).all(axis=1)
    with np.errstate(invalid="ignore"):  # rows that are not finite are told apart by `finite`
        difference = np.abs(reference.astype(np.float64) - candidate.astype(np.float64))
        agreed = finite & _same_choice(reference, candidate, tie_tolerance)
    return Parity(
        runtime=names[1],
        reference=names[0],
        examples=len(reference),
        max_abs_difference=float(difference.max()) if finite.all() else float("inf"),
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


def refusal(parity: Parity, limits: Limits) -> str | None:
    """Why these figures forbid publishing, as a sentence without an end; None where they allow it."""
    relative, agreement = parity.max_relative_difference, parity.top1_agreement
    reasons = []
    if relative is None and not parity.max_abs_difference <= limits.max_abs_difference:
        reasons.append(
            f"the largest difference of a score is {parity.max_abs_difference:.3g}, "
            f"allowed is {limits.max_abs_difference:g}"
        )
    if agreement is not None and not agreement >= limits.min_top1_agreement:
        reasons.append(
            f"they agree on the top class of {agreement:.4%} of the inputs, required is {limits.min_top1_agreement:.4%}"
        )
    if relative is not None and not relative <= limits.max_relative_difference:
        reasons.append(
            f"the largest relative difference of a prediction is {relative:.3g}, "
            f"allowed is {limits.max_relative_difference:g}"
        )
    if not reasons:
        return None
    where = "" if parity.output is None else f' in its output "{parity.output}"'
    return f"{parity.runtime} does not answer like {parity.reference}{where}: {'; '.join(reasons)}"


def accuracy(scores: np.ndarray, classes: np.ndarray) -> float:
    """The share of rows of `scores` `[N, classes]` that are highest at the right one of `classes` `[N]`."""
    return float(np.mean(scores.argmax(axis=1) == classes))


def mean_absolute_error(predictions: np.ndarray, targets: np.ndarray) -> float:
    """How far `predictions` `[N, 1]` are from `targets` `[N, 1]` on average, in the targets' unit."""
    return float(np.mean(np.abs(predictions.astype(np.float64) - targets)))


def accuracy_refusal(measured: float, recorded: float, examples: int) -> str | None:
    """Why the bundle cannot be the model that was trained; None where its accuracy is the recorded one.

    Allowed is `METRIC_TOLERANCE`, and always one example.
    """
    if abs(measured - recorded) <= max(METRIC_TOLERANCE, 1.5 / examples):
        return None
    return (
        f"the bundle's accuracy on {examples:,} images is {measured:.4f}, "
        f"but the run recorded {recorded:.4f}: this is not the model that was trained"
    )


def error_refusal(measured: float, recorded: float, examples: int) -> str | None:
    """The same for a mean absolute error; allowed is `METRIC_TOLERANCE` of it, or of 1 where it is smaller."""
    if abs(measured - recorded) <= METRIC_TOLERANCE * max(1, recorded):
        return None
    return (
        f"the bundle's mean absolute error on {examples:,} examples is {measured:.4f}, "
        f"but the run recorded {recorded:.4f}: this is not the model that was trained"
    )
