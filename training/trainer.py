"""The trainer: a recipe and a data set in, a run folder out."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.checkpoint import CHECKPOINT, assign, values
from training.cluster import ALONE, Cluster
from training.curves import draw_curves
from training.datasets import Dataset
from training.distribution import copy_from_chief, normalize_whole_batches, strategy_for
from training.environment import git_revision, library_versions, quiet_tensorflow
from training.errors import DatasetError, RunError, TrainingError, UsageError
from training.fitting import Fit
from training.loop import Loop, ask
from training.objective import answers, loss_and_metric
from training.optimizer import make_optimizer
from training.pipeline import evaluation_batches, steps_per_epoch, training_and_validation
from training.progress import Progress
from training.recipes import Recipe
from training.report import write_report
from training.run import (
    CONFIG,
    CURVES,
    HISTORY,
    METRICS,
    MODEL,
    REPORT,
    History,
    Run,
    RunConfig,
    RunMetrics,
    read_config,
    read_run,
)
from training.run_folder import run_folder
from training.settings import Precision
from training.tensorboard import FOLDER as TENSORBOARD
from training.tensorboard import EventLog

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

REPORT_BYTES = 10 * 2**20
RUN_SIZES = 8
"""How many times the model's size a run needs on disk: a checkpoint beside the one that it replaces, each with the
weights, the best epoch's, and Adam's two figures for each of them."""


def train(
    recipe: Recipe,
    dataset: Dataset,
    *,
    out: Path,
    progress: Progress,
    resume: bool = False,
    tensorboard: bool = False,
    data_dir: Path | None = None,
    cluster: Cluster = ALONE,
) -> Run:
    """Trains the recipe and leaves a run folder at `out`; with a cluster, as its chief, while the others `assist`.

    The same recipe, settings and data give bit-identical weights on the same machine, also when the training was
    interrupted and resumed. What the model is judged by is read once, after the last epoch. If anything goes wrong,
    nothing is at `out`; after the first checkpoint, what is needed to resume is kept hidden beside it.

    Args:
        recipe: what to train, and how.
        dataset: what with.
        out: the run folder; must not exist.
        progress: hears how it gets on.
        resume: goes on with the interrupted run of that path.
        tensorboard: writes an event log into the run folder.
        data_dir: where the data set was looked for, to be remembered.
        cluster: who else trains.

    Raises:
        UsageError: `out` is taken, nothing to resume, other settings than the interrupted run's, or a recipe that does
            not fit the data.
        DatasetError: the examples do not have the shape that the recipe expects.
        TrainingError: the loss became infinite or no number, or another process did not come or is gone.
        RunError: the run cannot be written, or its checkpoint is damaged.
    """
    quiet_tensorflow()
    check_fit(recipe, dataset)
    with strategy_for(cluster, progress.say) as strategy, run_folder(out, resume=resume) as folder:
        config = _configure(recipe, dataset, data_dir, strategy.num_replicas_in_sync)
        if resume:
            config = _resumed(read_config(folder), config)
        config.write(folder / CONFIG)
        copy_from_chief(folder, (CONFIG, CHECKPOINT), cluster, strategy)
        log = folder / TENSORBOARD if tensorboard else None
        model, history, weights_of_epoch = _fit(recipe, dataset, strategy, folder, progress, log=log)
        _finish(folder, config, history, weights_of_epoch, _in_full_precision(model, recipe, dataset.labels), dataset)
        (folder / CHECKPOINT).unlink()
    return read_run(out)


def assist(recipe: Recipe, dataset: Dataset, *, progress: Progress, cluster: Cluster) -> None:
    """Takes part in a training of which the cluster's chief writes the run; leaves nothing behind.

    A run that the chief resumes goes on here, too: where it was interrupted comes from the chief.

    Raises:
        UsageError: recipe, settings, data or libraries are not the chief's.
        DatasetError, TrainingError: as `train`.
    """
    quiet_tensorflow()
    check_fit(recipe, dataset)
    with strategy_for(cluster, progress.say) as strategy, tempfile.TemporaryDirectory(prefix="atelier-") as name:
        folder = Path(name)
        copy_from_chief(folder, (CONFIG, CHECKPOINT), cluster, strategy)
        chief, own = read_config(folder), _configure(recipe, dataset, None, strategy.num_replicas_in_sync)
        if difference := _difference(chief, own) or _different_settings(chief, own):
            raise UsageError(f"the chief has {difference}: all processes need the same command, data and libraries")
        _fit(recipe, dataset, strategy, folder, progress, writes=False)


def _fit(
    recipe: Recipe,
    dataset: Dataset,
    strategy: tf.distribute.Strategy,
    folder: Path,
    progress: Progress,
    *,
    log: Path | None = None,
    writes: bool = True,
) -> tuple[keras.Model, History, int]:
    """The trained model, and what `Fit.run` says of it; goes on from the folder's checkpoint if there is one."""
    settings = recipe.training
    _make_deterministic(settings.seed)
    train_split, validation = training_and_validation(dataset, settings.validation_split, settings.seed)
    with strategy.scope():
        model = build_model(recipe, dataset.labels, settings.precision)
        if strategy.num_replicas_in_sync > 1:
            normalize_whole_batches(model)
        optimizer = make_optimizer(settings, steps_per_epoch(train_split, settings.batch_size))
        loop = Loop(recipe, model, optimizer, strategy)
    _require_space(folder, model)
    with _callbacks(recipe, progress, log) as callbacks:
        fit = Fit(
            recipe, loop, train_split, validation, folder=folder, progress=progress, callbacks=callbacks, writes=writes
        )
        history, weights_of_epoch = fit.run()
    return model, history, weights_of_epoch


def check_fit(recipe: Recipe, dataset: Dataset) -> None:
    """Holds the data against what the recipe's models take.

    Raises:
        DatasetError: the examples have another shape.
        UsageError: no epoch will have the figure that the training is to stop at.
    """
    goal = recipe.training.stop_at
    watched: tuple[str, ...] = ("loss", recipe.metric)
    if dataset.validation is not None or recipe.training.validation_split > 0:
        watched += ("validation_loss", f"validation_{recipe.metric}")
    if goal is not None and goal.figure not in watched:
        raise UsageError(f"stop_at: expected one of {', '.join(watched)}, which this training has, received {goal}")
    expected = (1,) if recipe.image is None else recipe.image.shape
    for name, split in dataset.splits():
        if split.inputs.shape[1:] != expected:
            raise DatasetError(
                f"recipe {recipe.name} expects examples of shape {expected}, but {dataset.name}'s {name} split has "
                f"{split.inputs.shape[1:]}"
            )


def build_model(recipe: Recipe, labels: Sequence[str], precision: Precision = "float32") -> keras.Model:
    """The recipe's untrained model for these classes, whose layers compute in that precision.

    Raises:
        UsageError: it does not give one row of scores, or one prediction, for each example.
    """
    outputs = len(labels) if recipe.task == "classification" else 1
    with _computing_in(precision):
        model = recipe.architecture.build(recipe.image, outputs, recipe.output)
    expected = (None, 1 if recipe.output == "sigmoid" else outputs)
    if model.output_shape != expected:
        raise UsageError(
            f"recipe {recipe.name} gives {model.output_shape}, expected {expected}; is a Flatten layer missing?"
        )
    return model


@contextlib.contextmanager
def _computing_in(precision: Precision) -> Iterator[None]:
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _in_full_precision(model: keras.Model, recipe: Recipe, labels: Sequence[str]) -> keras.Model:
    """The model to judge, keep and serve: the trained weights, computed with in float32."""
    if recipe.training.precision == "float32":
        return model
    exact = build_model(recipe, labels)
    assign(exact.variables, values(model.variables))
    return exact


def _configure(recipe: Recipe, dataset: Dataset, data_dir: Path | None, replicas: int) -> RunConfig:
    return RunConfig(
        recipe=recipe.name,
        title=recipe.title,
        task=recipe.task,
        output=recipe.output,
        metric=recipe.metric,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        data_dir=None if data_dir is None else str(data_dir.resolve() if data_dir.exists() else data_dir),  # tfds:name
        labels=dataset.labels,
        image=recipe.image,
        settings=recipe.settings,
        replicas=replicas,
        library_versions=library_versions(),
        git_revision=git_revision(),
        started_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _resumed(interrupted: RunConfig, now: RunConfig) -> RunConfig:
    """The interrupted run's settings, if today's lead to the same weights."""
    if difference := _difference(interrupted, now):
        raise UsageError(f"the interrupted run has {difference}: it cannot be resumed")
    if settings := _different_settings(interrupted, now):
        raise UsageError(f"the interrupted run has {settings}: it goes on with its own settings only")
    return interrupted


def _difference(theirs: RunConfig, ours: RunConfig) -> str:
    """What else than settings decides the weights and is not the same; empty where all is."""
    for name in ("recipe", "dataset", "dataset_sha256", "replicas", "library_versions"):
        expected, received = getattr(theirs, name), getattr(ours, name)
        if expected != received:
            return f"{name} {expected}, this one {received}"
    return ""


def _different_settings(theirs: RunConfig, ours: RunConfig) -> str:
    return ", ".join(
        f"{key} {expected!r}, not {ours.settings.get(key)!r}"
        for key, expected in theirs.settings.items()
        if expected != ours.settings.get(key)
    )


def _make_deterministic(seed: int) -> None:
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def _require_space(folder: Path, model: keras.Model) -> None:
    """Says before hours are spent that the disk is too full.

    Raises:
        RunError: it is.
    """
    needed = RUN_SIZES * sum(variable.numpy().nbytes for variable in model.variables) + REPORT_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RunError(f"the run needs up to {needed / 1e6:,.0f} MB on disk, but only {free / 1e6:,.0f} MB are free")


@contextlib.contextmanager
def _callbacks(recipe: Recipe, progress: Progress, log: Path | None) -> Iterator[list[keras.callbacks.Callback]]:
    from training.callbacks import LogToTensorBoard, StopAtGoal

    callbacks: list[keras.callbacks.Callback] = []
    if recipe.training.stop_at is not None:
        callbacks.append(StopAtGoal(recipe.training.stop_at, progress.say))
    if log is None:
        yield callbacks
        return
    with contextlib.closing(EventLog(log)) as events:
        yield [*callbacks, LogToTensorBoard(events)]


def _finish(
    folder: Path,
    config: RunConfig,
    history: History,
    weights_of_epoch: int,
    model: keras.Model,
    dataset: Dataset,
) -> None:
    """Judges the model, and writes everything but the settings."""
    import tensorflow as tf

    evaluated_on, split = dataset.evaluation
    raw = ask(model, evaluation_batches(split))
    loss, metric = loss_and_metric(config.output, tf.constant(raw), tf.constant(split.targets), 0.0)
    if not np.isfinite(loss).all():
        raise TrainingError(f"the trained model's loss on the {evaluated_on} examples is infinite or no number")
    metrics = RunMetrics(
        evaluated_on=evaluated_on,
        examples=len(split),
        loss=float(np.mean(loss)),
        metric=config.metric,
        value=float(np.mean(metric)),
        seconds=round(sum(epoch.seconds for epoch in history.epochs), 3),
        parameters=model.count_params(),
        weights_of_epoch=weights_of_epoch,
    )
    history.write(folder / HISTORY)
    metrics.write(folder / METRICS)
    draw_curves(history, config.metric, f"{config.recipe}: {config.title}", folder / CURVES)
    write_report(
        folder / REPORT,
        config=config,
        history=history,
        metrics=metrics,
        split=split,
        outputs=answers(config.output, raw),
    )
    model.save(folder / MODEL)
