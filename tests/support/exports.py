"""Exports of finished trainings, as the tests want them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from export.exporter import Exported, export_model
from export.limits import Limits
from export.sources.base import Progress
from export.sources.run import RunSource
from export.targets import Target
from training.run import Run


def export_run(
    run: Run,
    models_dir: Path,
    *,
    name: str | None = None,
    version: int | None = None,
    data_dir: Path | None = None,
    targets: Sequence[Target] = (),
    limits: Limits = Limits(),  # noqa: B008 - frozen
    progress: Progress = lambda _: None,
) -> Exported:
    """`export_model` of a finished training; `data_dir` is where to look for its data set first."""
    source = RunSource(run, data_dir)
    return export_model(
        source, models_dir, name=name, version=version, targets=targets, limits=limits, progress=progress
    )
