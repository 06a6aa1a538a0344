"""Trainings that are watched, interrupted and compared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from training.progress import Plan
from training.run import Epoch, History, Run


class Watching:
    """Remembers what it hears, and presses Ctrl-C after so many epochs."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.plan: Plan | None = None
        self.epochs: list[Epoch] = []
        self.steps: list[int] = []
        self.said: list[str] = []
        self._interrupt_after = interrupt_after

    @contextlib.contextmanager
    def shown(self, plan: Plan) -> Iterator[None]:
        self.plan = plan
        yield

    def epoch_begins(self) -> None:
        self.steps.clear()

    def steps_done(self, steps: int, loss: float, metric: float) -> None:
        self.steps.append(steps)

    def epoch_ends(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)
        if len(self.epochs) == self._interrupt_after:
            raise KeyboardInterrupt

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def weights(run: Run) -> list[bytes]:
    """All variables of the saved model, bit by bit."""
    return [np.asarray(value).tobytes() for value in run.load_model().get_weights()]


def without_times(history: History) -> History:
    """The same history, as if every epoch had taken no time."""
    return history.model_copy(
        update={"epochs": tuple(epoch.model_copy(update={"seconds": 0.0}) for epoch in history.epochs)}
    )
