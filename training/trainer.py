"""The trainer: a recipe and a data set in, a run folder out."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from training.building import build_model, servable_model
from training.checkpoint import CHECKPOINT
from training.cluster import ALONE, Cluster
from training.configuration import configure, difference_between, resumed
from training.datasets import Dataset
from training.distribution import copy_from_chief, normalize_whole_batches, strategy_for
from training.environment import quiet_tensorflow, tensorflow_errors
from training.errors import DatasetError, RunError, UsageError
from training.fitting import Fit
from training.holding_out import training_and_validation
from training.loop import Loop
from training.optimizer import make_optimizer
from training.outcome import write_outcome
from training.pipeline import steps_per_epoch
from training.progress import Progress
from training.recipes import Recipe
from training.run import CONFIG, History, Run, read_config, read_run
from training.run_folder import run_folder
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
    nothing is at `out`; after the first checkpoint, what is needed to resume is kept hidden beside it. A training whose
    loss is lost cannot be resumed: the weights of its last good epoch are then kept as `<out>.last-good.keras`.

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
    with (
        tensorflow_errors(),
        strategy_for(cluster, progress.say) as strategy,
        run_folder(out, resume=resume) as folder,
    ):
        config = configure(recipe, dataset, data_dir, strategy.num_replicas_in_sync)
        if resume:
            config = resumed(read_config(folder), config)
        config.write(folder / CONFIG)
        copy_from_chief(folder, (CONFIG, CHECKPOINT), cluster, strategy)
        log = folder / TENSORBOARD if tensorboard else None
        last_good = out.with_name(f"{out.name}.last-good.keras")
        model, history, weights_of_epoch = _fit(
            recipe, dataset, strategy, folder, progress, last_good=last_good, log=log
        )
        write_outcome(folder, config, history, weights_of_epoch, servable_model(model, recipe, dataset.labels), dataset)
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
    with (
        tensorflow_errors(),
        strategy_for(cluster, progress.say) as strategy,
        tempfile.TemporaryDirectory(prefix="atelier-") as name,
    ):
        folder = Path(name)
        copy_from_chief(folder, (CONFIG, CHECKPOINT), cluster, strategy)
        chief, own = read_config(folder), configure(recipe, dataset, None, strategy.num_replicas_in_sync)
        if difference := difference_between(chief, own):
            raise UsageError(f"the chief has {difference}: all processes need the same command, data and libraries")
        _fit(recipe, dataset, strategy, folder, progress, last_good=None)


def _fit(
    recipe: Recipe,
    dataset: Dataset,
    strategy: tf.distribute.Strategy,
    folder: Path,
    progress: Progress,
    *,
    last_good: Path | None,
    log: Path | None = None,
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
            recipe,
            loop,
            train_split,
            validation,
            folder=folder,
            last_good=last_good,
            progress=progress,
            callbacks=callbacks,
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
