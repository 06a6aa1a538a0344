"""Keras callbacks, for our trainer and for anyone's `model.fit`: the course's own, and a log for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras

from training.goals import StopAt
from training.tensorboard import EventLog

_KERAS_PREFIX, _PREFIX = "val_", "validation_"


class StopAtGoal(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends the training after the first epoch whose figures reach the goal; `say` hears it in a sentence."""

    def __init__(self, goal: StopAt, say: Callable[[str], None] = print) -> None:
        super().__init__()
        self.goal = goal
        self._say = say

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Looks at the epoch's figures; Keras calls the validation's `val_…`."""
        figures = {
            _PREFIX + name.removeprefix(_KERAS_PREFIX) if name.startswith(_KERAS_PREFIX) else name: value
            for name, value in (logs or {}).items()
        }
        if self.goal.reached_by(figures):
            self.model.stop_training = True
            self._say(f"epoch {epoch + 1} reached {self.goal}: {self.goal.figure} is {figures[self.goal.figure]:.4f}")


class LogToTensorBoard(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes the figures of every epoch into an event log."""

    def __init__(self, events: EventLog) -> None:
        super().__init__()
        self._events = events

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Appends them, counted from epoch 1."""
        self._events.write(epoch + 1, logs or {})
