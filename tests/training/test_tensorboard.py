"""The event log, read back as TensorBoard does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.trainings import Watching
from training.datasets import Dataset
from training.recipes import Recipe
from training.run import Run
from training.tensorboard import EventLog
from training.trainer import train


def events_in(folder: Path) -> list[Any]:
    """All records of the one event file."""
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    (file,) = folder.iterdir()
    assert file.name.startswith("events.out.tfevents.")
    records = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    return [event_pb2.Event.FromString(record) for record in records]


def figures_in(folder: Path) -> list[tuple[int, dict[str, float]]]:
    first, *events = events_in(folder)
    assert first.file_version == "brain.Event:2"
    return [(event.step, {value.tag: value.simple_value for value in event.summary.value}) for event in events]


def assert_logs_each_epoch_once(run: Run) -> None:
    expected = []
    for number, epoch in enumerate(run.history.epochs, start=1):
        figures = {
            "loss": epoch.loss,
            "accuracy": epoch.metric,
            "val_loss": epoch.validation_loss,
            "val_accuracy": epoch.validation_metric,
        }
        expected.append((number, pytest.approx(figures, rel=1e-6)))
    assert figures_in(run.path / "tensorboard") == expected


def test_a_run_may_have_a_log_of_every_epoch(short_recipe: Recipe, few_digits: Dataset, tmp_path: Path) -> None:
    run = train(short_recipe, few_digits, out=tmp_path / "run", progress=Watching(), tensorboard=True)

    assert len(run.history.epochs) == 3
    assert_logs_each_epoch_once(run)


def test_a_resumed_run_has_one_log_without_gaps_or_doubles(
    short_recipe: Recipe, few_digits: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(short_recipe, few_digits, out=tmp_path / "run", progress=Watching(interrupt_after=2), tensorboard=True)

    run = train(short_recipe, few_digits, out=tmp_path / "run", progress=Watching(), tensorboard=True, resume=True)

    assert_logs_each_epoch_once(run)


def test_every_figure_is_on_disk_as_soon_as_it_is_written(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log")
    log.write(1, {"loss": 0.5})

    assert figures_in(tmp_path / "log") == [(1, {"loss": 0.5})]
    log.close()
