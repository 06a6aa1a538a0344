"""Training the points of a grid, one after the other; what is finished already is read, not trained again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.images import ImageSpec
from training.errors import RunError, TrainingError, UsageError
from training.paths import require_text
from training.recipes.base import Recipe
from training.run import Run, read_run
from training.sweeps.grid import Grid, Point, describe, points
from training.sweeps.observation import observe
from training.sweeps.record import RESULTS, Result, Sweep, read_sweep, write_csv

TrainOne = Callable[[Recipe, Path], Run]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is to be done in a folder: the grid's points, and those that have a finished run there."""

    folder: Path
    recipe: Recipe
    grid: Grid
    points: tuple[Point, ...]
    finished: Mapping[str, Run]
    """By the point's folder name. The run itself may be in another folder, named after an earlier grid."""
    dataset_sha256: Mapping[str, str]
    """Of the data that earlier points saw, by image size."""
    is_other_grid: bool
    """Whether an earlier sweep in the folder had another one."""

    @property
    def waiting(self) -> tuple[Point, ...]:
        """The points that are to be trained."""
        return tuple(point for point in self.points if point.folder not in self.finished)


def plan_sweep(recipe: Recipe, grid: Grid, folder: Path) -> Plan:
    """Checks every point and looks at what the folder already holds; writes nothing.

    A finished run there is a point's when all of its settings are.

    Raises:
        UsageError: a point that the recipe refuses; the folder is another recipe's, is no sweep's, or holds a run of a
            point's name that was trained with other settings.
        RunError: the folder's `sweep.json` is damaged.
    """
    require_text(folder, "--out")
    grid_points = points(recipe, grid)
    before = read_sweep(folder)
    if before is not None and before.recipe != recipe.name:
        raise UsageError(f"{folder} holds a sweep of {before.recipe}, not of {recipe.name}; name another folder")
    runs = _finished_runs(folder, recipe.name)
    by_settings = {_fingerprint(run.config.settings): run for run in runs.values()}
    finished: dict[str, Run] = {}
    for point in grid_points:
        run = by_settings.get(_fingerprint(point.recipe.settings))
        if run is not None:
            finished[point.folder] = run
        elif point.folder in runs:
            raise UsageError(
                f"{folder / point.folder} was trained with other settings than recipe {recipe.name} has today; "
                "name another folder"
            )
    return Plan(
        folder=folder,
        recipe=recipe,
        grid=grid,
        points=grid_points,
        finished=finished,
        dataset_sha256={} if before is None else before.dataset_sha256,
        is_other_grid=before is not None and dict(before.grid) != dict(grid.axes),
    )


def run_sweep(plan: Plan, train_one: TrainOne, tell: Tell) -> Sweep:
    """Trains what is waiting, each point to its own run folder, and keeps `sweep.json` up to date all along.

    A point that fails is noted with its reason, and the others go on. `tell` hears a line before each point.

    Raises:
        RunError: `sweep.json` or `results.csv` cannot be written.
    """
    results = {point.folder: _waiting(plan, point) for point in plan.points}
    hashes = dict(plan.dataset_sha256)
    for run in plan.finished.values():
        hashes[data_form(run.config.image)] = run.config.dataset_sha256

    def sweep(observation: tuple[str, ...] = ()) -> Sweep:
        return Sweep(
            recipe=plan.recipe.name,
            grid=dict(plan.grid.axes),
            common=dict(plan.grid.common),
            dataset=plan.recipe.dataset,
            dataset_sha256=hashes,
            results=tuple(results.values()),
            observation=observation,
        )

    sweep().write(plan.folder)
    for number, point in enumerate(plan.points, start=1):
        where = f"point {number} of {len(plan.points)}: {describe(point.settings)}"
        if point.folder in plan.finished:
            tell(f"{where}, finished before")
            continue
        tell(where)
        try:
            run = train_one(point.recipe, plan.folder / point.folder)
        except TrainingError as error:
            tell(f"failed: {error}")
            results[point.folder] = results[point.folder].model_copy(update={"failure": str(error)})
        else:
            hashes[data_form(run.config.image)] = run.config.dataset_sha256
            results[point.folder] = results[point.folder].model_copy(update={"metrics": run.metrics})
        sweep().write(plan.folder)
    done = sweep(observe(tuple(results.values())))
    done.write(plan.folder)
    try:
        write_csv(done.results, plan.folder / RESULTS)
    except OSError as error:
        raise RunError(f"{plan.folder / RESULTS} cannot be written: {error.strerror or error}") from error
    return done


def data_form(image: ImageSpec | None) -> str:
    """What examples were made into, on which their checksum depends: `28×28 grayscale`, or `numbers`."""
    if image is None:
        return "numbers"
    return f"{image.width}×{image.height} {image.colour}"


def check_same_data(before: Mapping[str, str], form: str, sha256: str) -> None:
    """Holds data of this form to be what the folder's earlier points saw.

    Raises:
        UsageError: it is other data.
    """
    if before.get(form, sha256) != sha256:
        raise UsageError(
            f"the folder's finished points saw other data: expected checksum {before[form][:12]}…, "
            f"received {sha256[:12]}…; name another folder for the sweep, or the same data"
        )


def _waiting(plan: Plan, point: Point) -> Result:
    run = plan.finished.get(point.folder)
    return Result(
        folder=point.folder if run is None else run.path.name,
        settings=dict(point.settings),
        metrics=None if run is None else run.metrics,
    )


def _finished_runs(folder: Path, recipe: str) -> dict[str, Run]:
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and not path.name.startswith("."):
            run = _run_or_none(path)
            if run is not None and run.config.recipe == recipe:
                found[path.name] = run
    return found


def _run_or_none(path: Path) -> Run | None:
    try:
        return read_run(path)
    except RunError:
        return None


def _fingerprint(settings: Mapping[str, object]) -> str:
    return json.dumps(settings, sort_keys=True)
