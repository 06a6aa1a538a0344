"""What a sweep leaves beside its runs: `sweep.json` with the grid and all figures, `results.csv` for a spreadsheet."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

from training.errors import RunError, UsageError
from training.run import MetricName, RunMetrics, read_record
from training.sweeps.grid import value_text

SWEEP = "sweep.json"
RESULTS = "results.csv"
PICTURE = "sweep.png"

LOWER_IS_BETTER: frozenset[MetricName] = frozenset({"mean_absolute_error"})


class Result(BaseModel):
    """One point: its settings, and its figures or the reason why there are none; neither while it waits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    settings: dict[str, JsonValue]
    metrics: RunMetrics | None = None
    failure: str | None = None


class Sweep(BaseModel):
    """A sweep as far as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    grid: dict[str, tuple[str, ...]]
    common: dict[str, str]
    dataset: str
    dataset_sha256: dict[str, str] = {}
    """By the image size that it was loaded with, such as `28×28 grayscale`; `numbers` for a regression."""
    results: tuple[Result, ...]
    observation: tuple[str, ...] = ()
    """What was seen, in sentences; none before the end."""

    def write(self, folder: Path) -> None:
        """Writes or replaces `sweep.json`, which is whole at any moment.

        Raises:
            RunError: the disk refuses.
        """
        path = folder / SWEEP
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            scratch.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
            scratch.replace(path)
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror or error}") from error


def read_sweep(folder: Path) -> Sweep | None:
    """The sweep in the folder; None where there is no folder or an empty one.

    Raises:
        UsageError: it is a file, or a folder with something else in it.
        RunError: its `sweep.json` is damaged.
    """
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; expected a folder for the sweep")
    path = folder / SWEEP
    if not path.is_file():
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty and holds no sweep: expected {SWEEP} in it, or a new folder")
        return None
    return read_record(path, Sweep)


def best(results: tuple[Result, ...]) -> Result | None:
    """The finished point with the best metric, of equals the one with the lower loss; None where none finished."""
    finished = [result for result in results if result.metrics is not None]
    return min(finished, key=_badness) if finished else None


def write_csv(results: tuple[Result, ...], path: Path) -> None:
    """A line for each point: its settings, figures, folder, and the reason where it failed."""
    keys = list(results[0].settings)
    figures = ("metric", "value", "loss", "parameters", "seconds", "evaluated_on", "examples")
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([*keys, *figures, "folder", "failure"])
        for result in results:
            values: dict[str, Any] = {} if result.metrics is None else result.metrics.model_dump()
            table.writerow(
                [
                    *(value_text(result.settings[key]) for key in keys),
                    *(values.get(figure, "") for figure in figures),
                    result.folder,
                    result.failure or "",
                ]
            )


def _badness(result: Result) -> tuple[float, float]:
    metrics = result.metrics
    if metrics is None:
        raise AssertionError
    return metrics.value if metrics.metric in LOWER_IS_BETTER else -metrics.value, metrics.loss
