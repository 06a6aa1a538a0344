"""Whether two runtimes give the same tensors, whatever they mean: numbers of any kind, texts, truths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serving.bundle import Parity


def compare_tensors(
    reference: Sequence[np.ndarray], candidate: Sequence[np.ndarray], *, names: tuple[str, str]
) -> Parity:
    """Compares one output of two runtimes, batch by batch; shapes may differ between batches.

    Floats differ by `|candidate - reference|`, relatively by its share of the largest finite number, or of 1, in the
    reference's batch: what a sum loses is in proportion to what it adds. The same infinity, or no number, in the same
    place is no difference, since a foreign model may mean it. Everything else is equal or differs by 1.

    Raises:
        ValueError: a batch has another shape, or there is none.
    """
    pairs = list(zip(reference, candidate, strict=True))
    if not pairs or any(expected.shape != received.shape for expected, received in pairs):
        shapes = [[array.shape for array in arrays] for arrays in (reference, candidate)]
        raise ValueError(f"expected tensors of equal shapes, received {shapes[0]} and {shapes[1]}")
    found = [_differences(expected, received) for expected, received in pairs]
    return Parity(
        runtime=names[1],
        reference=names[0],
        examples=sum(len(expected) if expected.ndim else 1 for expected, _ in pairs),
        max_abs_difference=max(absolute for absolute, _ in found),
        max_relative_difference=max(relative for _, relative in found),
    )


def _differences(expected: np.ndarray, received: np.ndarray) -> tuple[float, float]:
    """The largest absolute and relative difference."""
    if expected.dtype.kind != "f" or received.dtype.kind != "f":
        different = float(not np.array_equal(expected, received))
        return different, different
    numbers, others = expected.astype(np.float64), received.astype(np.float64)
    same = (numbers == others) | (np.isnan(numbers) & np.isnan(others))
    finite = np.isfinite(numbers)
    with np.errstate(invalid="ignore"):  # of infinities, which `same` has judged
        difference = np.where(same, 0.0, np.abs(others - numbers))
    difference[np.isnan(difference)] = np.inf
    largest = float(difference.max(initial=0.0))
    return largest, largest / max(1.0, float(np.abs(numbers[finite]).max(initial=0.0)))
