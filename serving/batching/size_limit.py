"""Finds the batch size that a service level objective allows."""

from __future__ import annotations

_TARGET_MISSES = 0.01
"""The 99th percentile: of a hundred full batches one may take longer."""
_DECREASE = 0.9
_INCREASE = _DECREASE ** -(_TARGET_MISSES / (1 - _TARGET_MISSES))
"""So small that growth and shrinkage balance where exactly that part of the batches take longer."""


class SizeLimit:
    """Rows that a batch may have, between 1 and `max_rows`, so that it stays within `budget_s`; None is no budget.

    It begins at one row and doubles as long as full batches stay within the budget. From the first one that does not,
    each that takes too long makes it shrink by a tenth, and each full one that does not makes it grow by 0.1 percent:
    additive increase would leave small sizes with more than their one in a hundred. Batches less than half full say
    nothing, because a smaller limit would not have made them faster.
    """

    def __init__(self, max_rows: int, budget_s: float | None) -> None:
        self._max_rows = max_rows
        self._budget_s = budget_s
        self._size = 1.0 if budget_s is not None else float(max_rows)
        self._is_probing = True
        self.rows = int(self._size)

    def observe(self, rows: int, seconds: float) -> None:
        """A batch of `rows` rows took this long."""
        if self._budget_s is None or 2 * rows <= self.rows:
            return
        if seconds > self._budget_s:
            self._is_probing = False
            self._size = max(1.0, self._size * _DECREASE)
        elif rows >= self.rows:
            self._size = min(float(self._max_rows), self._size * (2.0 if self._is_probing else _INCREASE))
        self.rows = int(self._size)
