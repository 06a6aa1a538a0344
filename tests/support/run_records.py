"""Run folders by hand, without any training: their records, and an empty archive for the model."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from training.recipes import Recipe
from training.run import CONFIG, HISTORY, METRICS, MODEL, Epoch, History, Run, RunConfig, RunMetrics, read_run

A_CHECKSUM = "a" * 64


def metrics(value: float = 0.9, **changed: Any) -> RunMetrics:
    """An accuracy on a test split of 10,000."""
    figures: dict[str, Any] = {
        "evaluated_on": "test",
        "examples": 10_000,
        "loss": 0.3,
        "metric": "accuracy",
        "value": value,
        "seconds": 10.0,
        "parameters": 1000,
        "weights_of_epoch": 2,
    }
    return RunMetrics(**figures | changed)


def epoch(loss: float, *, validated: bool = True) -> Epoch:
    """An epoch whose accuracy is what the loss leaves."""
    return Epoch(
        loss=loss,
        metric=1 - loss,
        validation_loss=loss + 0.1 if validated else None,
        validation_metric=0.9 - loss if validated else None,
        seconds=1.0,
    )


def written_run(
    path: Path,
    recipe: Recipe,
    figures: RunMetrics | None = None,
    *,
    epochs: tuple[Epoch, ...] = (epoch(0.5), epoch(0.4)),
    **config: Any,
) -> Run:
    """A finished run of the recipe at `path`, which is made; `config` are fields of its `config.json`."""
    path.mkdir(parents=True)
    record: dict[str, Any] = {
        "recipe": recipe.name,
        "title": recipe.title,
        "task": recipe.task,
        "output": recipe.output,
        "metric": recipe.metric,
        "dataset": recipe.dataset,
        "dataset_sha256": A_CHECKSUM,
        "data_dir": None,
        "labels": ("cat", "dog"),
        "image": recipe.image,
        "settings": recipe.settings,
        "library_versions": {"keras": "3.15.0"},
        "git_revision": None,
        "started_at": "2026-11-20T12:00:00+00:00",
    }
    RunConfig(**record | config).write(path / CONFIG)
    History(epochs=epochs).write(path / HISTORY)
    (figures or metrics()).write(path / METRICS)
    zipfile.ZipFile(path / MODEL, "w").close()
    return read_run(path)
