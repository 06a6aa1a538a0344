"""The trainer: a recipe and a data set in, a run folder out."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from training.curves import draw_curves
from training.datasets import Dataset
from training.environment import git_revision, library_versions, quiet_tensorflow
from training.errors import DatasetError, TrainingError
from training.pipeline import batches, hold_out
from training.progress import Progress
from training.recipes import Recipe
from training.run import CONFIG, CURVES, HISTORY, METRICS, MODEL, Epoch, History, Run, RunConfig, RunMetrics, read_run
from training.run_folder import new_run_folder

if TYPE_CHECKING:
    import keras

EVALUATION_BATCH_SIZE = 500
REPORTS_PER_EPOCH = 50
"""How often an epoch comes back to Python: seldom is faster, often makes a smooth progress bar."""


def train(recipe: Recipe, dataset: Dataset, *, seed: int, out: Path, progress: Progress) -> Run:
    """Trains the recipe and leaves a run folder at `out`, or, if anything goes wrong, nothing.

    The same recipe, data and seed give bit-identical weights on the same machine. The test split is read once, after
    the last epoch.

    Raises:
        UsageError: `out` is taken, or the validation split leaves nothing to train with.
        DatasetError: the images do not have the shape that the recipe expects.
        TrainingError: the loss became infinite or no number.
        RunError: the run cannot be written.
    """
    if dataset.train.images.shape[1:] != recipe.image.shape:
        raise DatasetError(
            f"recipe {recipe.name} expects images of shape {recipe.image.shape}, "
            f"but {dataset.name} has {dataset.train.images.shape[1:]}"
        )
    with new_run_folder(out) as folder:
        config = _configure(recipe, dataset, seed)
        config.write(folder / CONFIG)
        _make_deterministic(seed)
        started = time.perf_counter()
        model, history = _fit(recipe, dataset, seed, progress)
        seconds = time.perf_counter() - started
        test = model.evaluate(batches(dataset.test, EVALUATION_BATCH_SIZE), verbose=0, return_dict=True)
        history.write(folder / HISTORY)
        RunMetrics(
            test_accuracy=test["accuracy"],
            test_loss=test["loss"],
            seconds=round(seconds, 3),
            parameters=model.count_params(),
        ).write(folder / METRICS)
        draw_curves(history, f"{recipe.name}: {recipe.title}", folder / CURVES)
        model.save(folder / MODEL)
    return read_run(out)


def _configure(recipe: Recipe, dataset: Dataset, seed: int) -> RunConfig:
    return RunConfig(
        recipe=recipe.name,
        task=recipe.task,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        labels=dataset.labels,
        image=recipe.image,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        learning_rate_decay=recipe.learning_rate_decay,
        validation_split=recipe.validation_split,
        seed=seed,
        library_versions=library_versions(),
        git_revision=git_revision(),
        started_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _make_deterministic(seed: int) -> None:
    quiet_tensorflow()
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def _fit(recipe: Recipe, dataset: Dataset, seed: int, progress: Progress) -> tuple[keras.Model, History]:
    import keras

    train_split, validation_split = hold_out(dataset.train, recipe.validation_split, seed)
    steps = math.ceil(len(train_split) / recipe.batch_size)
    model = recipe.build(recipe.image, len(dataset.labels))
    model.compile(
        optimizer=keras.optimizers.Adam(_learning_rate(recipe, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=max(1, steps // REPORTS_PER_EPOCH),
    )
    watch = _Watch(progress)
    with progress.shown(recipe.epochs, steps):
        model.fit(
            batches(train_split, recipe.batch_size, shuffle_seed=seed),
            epochs=recipe.epochs,
            shuffle=False,  # the batches are, already
            validation_data=batches(validation_split, EVALUATION_BATCH_SIZE),
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=watch.epoch_begins,
                    on_train_batch_end=watch.steps_end,
                    on_epoch_end=watch.epoch_ends,
                )
            ],
            verbose=0,
        )
    return model, History(epochs=tuple(watch.epochs))


def _learning_rate(recipe: Recipe, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    import keras

    if recipe.learning_rate_decay == "none":
        return recipe.learning_rate
    return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, decay_steps=steps * recipe.epochs)


class _Watch:
    """What the trainer hears from Keras: the history, the progress, and whether it is lost."""

    def __init__(self, progress: Progress) -> None:
        self.epochs: list[Epoch] = []
        self._progress = progress
        self._epoch_started = 0.0

    def epoch_begins(self, _index: int, _logs: Mapping[str, float]) -> None:
        self._epoch_started = time.perf_counter()
        self._progress.epoch_begins()

    def steps_end(self, last_step: int, logs: Mapping[str, float]) -> None:
        self._require_finite(logs["loss"], f"in epoch {len(self.epochs) + 1}, by step {last_step + 1}")
        self._progress.steps_done(last_step + 1, logs["loss"], logs["accuracy"])

    def epoch_ends(self, index: int, logs: Mapping[str, float]) -> None:
        self._require_finite(logs["val_loss"], f"on the validation images after epoch {index + 1}")
        epoch = Epoch(
            loss=logs["loss"],
            accuracy=logs["accuracy"],
            validation_loss=logs["val_loss"],
            validation_accuracy=logs["val_accuracy"],
            seconds=round(time.perf_counter() - self._epoch_started, 3),
        )
        self.epochs.append(epoch)
        self._progress.epoch_ends(epoch)

    def _require_finite(self, loss: float, when: str) -> None:
        if not math.isfinite(loss):
            raise TrainingError(f"the loss became {loss} {when}; a smaller learning rate often helps")
