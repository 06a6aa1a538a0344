"""What decided a run's weights, written down, and held against another run's."""

from __future__ import annotations

import datetime
from pathlib import Path

from training.datasets import Dataset
from training.environment import git_revision, library_versions
from training.errors import UsageError
from training.recipes import Recipe
from training.run import RunConfig


def configure(recipe: Recipe, dataset: Dataset, data_dir: Path | None, replicas: int) -> RunConfig:
    """What is known of a run before it starts; `data_dir` is what `--data` was."""
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


def resumed(interrupted: RunConfig, now: RunConfig) -> RunConfig:
    """The interrupted run's settings, if today's lead to the same weights.

    Raises:
        UsageError: they do not.
    """
    if difference := difference_between(interrupted, now):
        raise UsageError(f"the interrupted run has {difference}: it cannot be resumed")
    return interrupted


def difference_between(theirs: RunConfig, ours: RunConfig) -> str:
    """The first thing that decides the weights and is not the same, in words; empty where all is."""
    for name in ("recipe", "dataset", "dataset_sha256", "labels", "replicas", "library_versions"):
        expected, received = getattr(theirs, name), getattr(ours, name)
        if expected != received:
            return f"{name} {expected}, this one {received}"
    return _different_settings(theirs, ours)


def _different_settings(theirs: RunConfig, ours: RunConfig) -> str:
    return ", ".join(
        f"{key} {expected!r}, not {ours.settings.get(key)!r}"
        for key, expected in theirs.settings.items()
        if expected != ours.settings.get(key)
    )
