"""Epoch after epoch, with a checkpoint to go on from after an interruption."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from training.checkpoint import CHECKPOINT, Checkpoint, assign, read_checkpoint, values, write_checkpoint
from training.datasets import Split
from training.errors import TrainingError
from training.interruption import interrupts_between_steps
from training.loop import Loop, Totals
from training.pipeline import Share, evaluation_batch_size, evaluation_batches, steps_per_epoch, training_batches
from training.progress import Plan, Progress
from training.recipes import Recipe
from training.run import Epoch, History

if TYPE_CHECKING:
    import keras

REPORTS_PER_EPOCH = 50
"""How often an epoch comes back to Python: seldom is faster, often makes a smooth progress bar."""
CHECKPOINT_INTERVAL_S = 10.0
"""Short epochs are saved no more often than this; the first one always is."""


def is_out_of_patience(history: History, patience: int | None) -> bool:
    """Whether so many epochs have passed since the best one."""
    return patience is not None and len(history.epochs) - 1 - history.best >= patience


class Fit:
    """One training under way: `run` leaves the loop's model with the weights to keep.

    Args:
        recipe: its settings decide everything.
        loop: the model.
        train: what to learn from.
        validation: what to judge each epoch by; may be None.
        folder: where checkpoints go; one that is there is taken up.
        progress: hears of every step.
        callbacks: Keras callbacks, told of every epoch's end; they may set the model's `stop_training`.
        last_good: where the model goes, as it was after the last good epoch, when the loss is lost; None writes
            nothing, no checkpoint either: of several processes, one does.
    """

    def __init__(
        self,
        recipe: Recipe,
        loop: Loop,
        train: Split,
        validation: Split | None,
        *,
        folder: Path,
        progress: Progress,
        callbacks: Sequence[keras.callbacks.Callback],
        last_good: Path | None,
    ) -> None:
        import keras

        self._recipe, self._settings = recipe, recipe.training
        self._loop, self._train, self._validation = loop, train, validation
        self._folder, self._last_good, self._progress = folder, last_good, progress
        self._callbacks = keras.callbacks.CallbackList(list(callbacks), model=loop.model)
        self._steps = steps_per_epoch(train, self._settings.batch_size)
        self._epochs: list[Epoch] = []
        self._best: list[np.ndarray] = []
        self._checkpoint: Checkpoint | None = None
        self._written: Checkpoint | None = None
        self._written_at = -math.inf  # so the first epoch is saved, however short it was
        self._judged = None if validation is None else loop.distribute(partial(evaluation_batches, validation))

    def run(self) -> tuple[History, int]:
        """Trains to the end; returns the history, and the number (from 1) of the epoch whose weights the model has.

        Raises:
            TrainingError: the loss became infinite or no number; the last good weights are then kept in the folder.
            RunError: the checkpoint is damaged, or of another model.
            KeyboardInterrupt: Ctrl-C, between two steps; finished epochs are then in the folder's checkpoint.
        """
        with interrupts_between_steps() as heed:
            stopped = self._train_on(heed)
        history = History(epochs=tuple(self._epochs), stopped_early=stopped)
        if not self._best or self._loop.model.stop_training:  # the epoch that reached the goal is what was asked for
            return history, len(self._epochs)
        assign(self._loop.model.variables, self._best)
        return history, history.best + 1

    def _train_on(self, heed: Callable[[], None]) -> str | None:
        """The epochs that are left; returns the reason if they were not all needed."""
        stopped = self._take_up()
        epochs = range(len(self._epochs), self._settings.epochs)
        batches = iter(self._loop.distribute(self._training_batches(epochs))) if epochs and not stopped else None
        plan = Plan(self._settings.epochs, len(self._epochs), self._steps, self._recipe.metric)
        try:
            with self._progress.shown(plan):
                for _ in epochs:
                    if stopped or batches is None:
                        break
                    self._progress.epoch_begins()
                    self._remember(self._one_epoch(batches, heed))
                    stopped = self._reason_to_stop()
        finally:
            self._write_checkpoint()
        return stopped

    def _training_batches(self, epochs: range) -> Callable[[Share], Any]:
        return lambda share: training_batches(
            self._train,
            self._settings.batch_size,
            epochs=epochs,
            seed=self._settings.seed,
            augmentation=self._recipe.augmentation,
            share=share,
        )

    def _take_up(self) -> str | None:
        """Goes back to the folder's checkpoint, if there is one; returns the reason if no more epochs are needed."""
        held = read_checkpoint(self._folder)
        if held is None:
            return None
        assign(self._variables, held.state)
        self._best, self._checkpoint, self._written = list(held.best), held, held
        stopped = None
        for epoch in held.history.epochs:  # also those before the interruption, for callbacks that began anew
            self._epochs.append(epoch)
            stopped = self._reason_to_stop()
        return stopped

    def _one_epoch(self, batches: Iterator[Any], heed: Callable[[], None]) -> Epoch:
        started = time.perf_counter()
        totals = Totals()
        stretch = max(1, math.ceil(self._steps / REPORTS_PER_EPOCH))
        while totals.steps < self._steps:
            totals += self._loop.train(batches, min(stretch, self._steps - totals.steps))
            self._require_finite(totals.loss, f"in epoch {len(self._epochs) + 1}, at step {totals.steps}")
            self._progress.steps_done(totals.steps, totals.mean_loss, totals.mean_metric)
            heed()
        validation = self._judge()
        return Epoch(
            loss=totals.mean_loss,
            metric=totals.mean_metric,
            validation_loss=None if validation is None else validation.mean_loss,
            validation_metric=None if validation is None else validation.mean_metric,
            seconds=round(time.perf_counter() - started, 3),
        )

    def _judge(self) -> Totals | None:
        if self._judged is None or self._validation is None:
            return None
        totals = self._loop.judge(
            self._judged, steps_per_epoch(self._validation, evaluation_batch_size(self._validation))
        )
        self._require_finite(totals.loss, f"on the validation examples after epoch {len(self._epochs) + 1}")
        return totals

    def _remember(self, epoch: Epoch) -> None:
        state = values(self._variables)
        weights = state[: len(self._loop.model.variables)]
        if not all(np.isfinite(value).all() for value in weights):
            self._fail(f"the weights became infinite or no numbers in epoch {len(self._epochs) + 1}, at its last step")
        history = History(epochs=(*self._epochs, epoch))
        if self._settings.early_stopping is not None and history.best == len(self._epochs):
            self._best = weights
        self._epochs.append(epoch)
        self._checkpoint = Checkpoint(history, state, self._best)
        if time.monotonic() - self._written_at >= CHECKPOINT_INTERVAL_S:
            self._write_checkpoint()
        self._progress.epoch_ends(epoch)

    def _reason_to_stop(self) -> str | None:
        """Tells the callbacks of the last epoch, and hears whether it was the last one."""
        epoch, number = self._epochs[-1], len(self._epochs)
        keras_names = {
            name.replace("validation_", "val_"): value for name, value in epoch.figures(self._recipe.metric).items()
        }
        self._loop.model.stop_training = False
        self._callbacks.on_epoch_end(number - 1, keras_names)
        if number == self._settings.epochs:
            return None
        if self._loop.model.stop_training:
            return f"epoch {number} reached {self._settings.stop_at}"
        history = History(epochs=tuple(self._epochs))
        if is_out_of_patience(history, self._settings.early_stopping):
            waited = self._settings.early_stopping
            judged_by = "training loss" if epoch.validation_loss is None else "validation loss"
            return f"no epoch of the {waited} after epoch {history.best + 1} had a lower {judged_by}"
        return None

    def _require_finite(self, loss: float, when: str) -> None:
        if not math.isfinite(loss):
            self._fail(f"the loss became {loss} {when}")

    def _fail(self, cause: str) -> NoReturn:
        kept = ""
        if self._checkpoint is not None and self._last_good is not None:
            assign(self._variables, self._checkpoint.state)
            self._loop.model.save(self._last_good)
            kept = f"; the weights after epoch {len(self._epochs)} are kept in {self._last_good}"
            (self._folder / CHECKPOINT).unlink(missing_ok=True)  # from there, it would fail again
            self._checkpoint = None
        raise TrainingError(f"{cause}; a smaller learning rate often helps{kept}")

    def _write_checkpoint(self) -> None:
        if self._last_good is not None and self._checkpoint is not None and self._checkpoint is not self._written:
            write_checkpoint(self._folder, self._checkpoint)
            self._written, self._written_at = self._checkpoint, time.monotonic()

    @property
    def _variables(self) -> list[Any]:
        return [*self._loop.model.variables, *self._loop.optimizer.variables]
