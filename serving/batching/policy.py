"""How a large request is split, what a batch is padded to, and how long a batch will take. Pure functions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence


def split(rows: int, max_batch_size: int) -> Iterator[tuple[int, int]]:
    """Where the parts begin and end, in order, in which a request of `rows` rows joins the queue."""
    return ((start, min(start + max_batch_size, rows)) for start in range(0, rows, max_batch_size))


def padded(rows: int, allowed_batch_sizes: Sequence[int]) -> int:
    """The smallest allowed size that `rows` rows fit into; `rows` itself where there is none."""
    if not allowed_batch_sizes:
        return rows
    place = bisect_left(allowed_batch_sizes, rows)
    return allowed_batch_sizes[place] if place < len(allowed_batch_sizes) else rows


class CostModel:
    """Predicts how long a batch takes from how long earlier ones took.

    One exponentially weighted mean for each power of two of rows; a size not yet seen is extrapolated in proportion
    from the nearest smaller one.
    """

    def __init__(self, *, weight: float = 0.2) -> None:
        self._weight = weight
        self._seconds_of_bucket: dict[int, float] = {}

    def observe(self, rows: int, seconds: float) -> None:
        """Takes one measured batch into account."""
        bucket = rows.bit_length()
        known = self._seconds_of_bucket.get(bucket)
        self._seconds_of_bucket[bucket] = seconds if known is None else known + self._weight * (seconds - known)

    def knows(self, rows: int) -> bool:
        """Whether a batch of about that size was measured."""
        return rows.bit_length() in self._seconds_of_bucket

    def predict_s(self, rows: int) -> float:
        """Seconds that a batch of `rows` rows will take; infinite while nothing is known."""
        bucket = rows.bit_length()
        seconds = self._seconds_of_bucket.get(bucket)
        if seconds is not None:
            return seconds
        smaller = [known for known in self._seconds_of_bucket if known < bucket]
        if not smaller:
            return float("inf")
        nearest = max(smaller)
        return self._seconds_of_bucket[nearest] * 2.0 ** (bucket - nearest)
