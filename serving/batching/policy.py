"""Which waiting requests form the next batch, how a large one is split, and where a batch runs. Pure functions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import NamedTuple


class Waiting(NamedTuple):
    """What the policy sees of a request in the queue: its rows, and the key that batch-mates must share."""

    rows: int
    key: Hashable


def count_to_take(queue: Iterable[Waiting], max_batch_size: int) -> int:
    """How many requests from the head of the queue run together: first come, first served, never over the maximum.

    A head that is larger than the maximum on its own is taken alone (`split` keeps such requests out of the queue).
    """
    taken = rows = 0
    key: Hashable = None
    for request in queue:
        if taken == 0:
            key = request.key
        elif request.key != key or rows + request.rows > max_batch_size:
            break
        rows += request.rows
        taken += 1
    return taken


def split(rows: int, max_batch_size: int) -> Iterator[slice]:
    """The parts, in order, in which a request of `rows` rows joins the queue."""
    return (slice(start, min(start + max_batch_size, rows)) for start in range(0, rows, max_batch_size))


class CostModel:
    """Predicts how long a batch keeps its thread busy from what earlier ones took.

    It is told CPU time of the thread, not wall time: on a busy machine, waiting for a core or for Python's lock would
    make every model look slow, and runs that belong on the event loop would be sent to a thread, where they wait more.

    One exponentially weighted mean for each power of two of rows; a size not yet seen is extrapolated in proportion
    from the nearest smaller one.
    """

    def __init__(self, *, weight: float = 0.2) -> None:
        self._weight = weight
        self._seconds_of_bucket: dict[int, float] = {}

    def observe(self, rows: int, seconds: float) -> None:
        """Takes one measured run into account; `seconds` of its thread's CPU time."""
        bucket = rows.bit_length()
        known = self._seconds_of_bucket.get(bucket)
        self._seconds_of_bucket[bucket] = seconds if known is None else known + self._weight * (seconds - known)

    def predict_s(self, rows: int) -> float:
        """Seconds of CPU time that a batch of `rows` rows will take; infinite while nothing is known."""
        bucket = rows.bit_length()
        seconds = self._seconds_of_bucket.get(bucket)
        if seconds is not None:
            return seconds
        smaller = [known for known in self._seconds_of_bucket if known < bucket]
        if not smaller:
            return float("inf")
        nearest = max(smaller)
        return self._seconds_of_bucket[nearest] * 2.0 ** (bucket - nearest)
