"""How fast a model gets through its queue, by the clock: what refusals at the door are made of."""

from __future__ import annotations

from serving.batching.policy import CostModel

_MOST_GROWTH = 4.0
"""A turn counts as at most so many times what was expected: one pause of the machine is not the model's pace."""


class Pace:
    """Learns from the batches that ended. What is not known yet takes no time, so that nobody is refused for it.

    A batch's *run* is from its start to its end. Its *turn* is from the end of the batch before to its own, where more
    waited all the time: that counts what the event loop does in between, and overlapping runs only once.
    """

    def __init__(self, *, weight: float = 0.2) -> None:
        self._runs = CostModel(weight=weight)
        self._turns = CostModel(weight=weight)
        self._last_end: float | None = None

    def ended(self, rows: int, started_at: float, ended_at: float, *, more_wait: bool) -> float:
        """Takes a batch into account; returns the seconds that it held others up."""
        run_s = ended_at - started_at
        turn_s = run_s if self._last_end is None else ended_at - self._last_end
        self._last_end = ended_at if more_wait else None
        _learn(self._runs, rows, run_s)
        _learn(self._turns, rows, turn_s)
        return max(run_s, turn_s)

    def run_s(self, rows: int) -> float:
        """How long a batch of `rows` rows will run."""
        return _known(self._runs.predict_s(rows))

    def wait_s(self, rows: int, batch_size: int) -> float:
        """How long `rows` rows take that go in batches of `batch_size`, once the model is free."""
        batches, rest = divmod(rows, batch_size)
        seconds = batches * _known(self._turns.predict_s(batch_size)) if batches else 0.0
        return seconds + _known(self._turns.predict_s(rest)) if rest else seconds


def _learn(cost: CostModel, rows: int, seconds: float) -> None:
    cost.observe(rows, min(seconds, _MOST_GROWTH * (cost.predict_s(rows) or seconds)))


def _known(seconds: float) -> float:
    return 0.0 if seconds == float("inf") else seconds
