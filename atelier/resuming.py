"""Which run folder `atelier train` writes, and how it goes on with a run that was interrupted."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.recipes import Recipe


def run_path(recipe: str, out: Path | None, *, resume: bool) -> Path:
    """Where the run goes: `out`, the recipe's newest interrupted run, or a folder of a name that says when.

    Raises:
        UsageError: there is no such run, or `out` is something else.
    """
    from training.errors import UsageError
    from training.run_folder import RUNS, check_free, default_run_path, latest_interrupted

    if out is not None:
        check_free(out)
        return out
    if not resume:
        return default_run_path(recipe, datetime.datetime.now().astimezone())
    found = latest_interrupted(recipe)
    if found is None:
        raise UsageError(f"there is no interrupted run of {recipe} in {RUNS}/; name one with --out")
    return found


def as_interrupted(recipe: Recipe, path: Path, given: Mapping[str, Any]) -> Recipe:
    """The recipe with the settings of the interrupted run, which those given now must not change.

    Raises:
        UsageError: they would, or there is no interrupted run of this recipe.
    """
    from training.errors import UsageError
    from training.run import read_config
    from training.run_folder import is_interrupted, partial_path

    if not is_interrupted(path):
        raise UsageError(f"there is no interrupted run to resume at {path}")
    interrupted = read_config(partial_path(path))
    if interrupted.recipe != recipe.name:
        raise UsageError(f"the interrupted run at {path} is of recipe {interrupted.recipe}, not {recipe.name}")
    before = recipe.with_settings(interrupted.settings)
    now = before.with_settings(given)
    different = [
        f"{key} {value}, not {now.settings[key]}"
        for key, value in before.settings.items()
        if value != now.settings[key]
    ]
    if different:
        raise UsageError(f"the interrupted run has {'; '.join(different)}: a resumed run keeps its settings")
    return before


def data_of_interrupted(path: Path) -> Path | None:
    """Where the interrupted run's data set was."""
    from training.run import read_config
    from training.run_folder import partial_path

    data_dir = read_config(partial_path(path)).data_dir
    return None if data_dir is None else Path(data_dir)


def how_to_go_on(recipe: str, path: Path | None) -> str:
    """What to say of a run that is interrupted now."""
    from training.run_folder import is_interrupted

    if path is None or not is_interrupted(path):
        return "interrupted; no run folder was left behind"
    return f"interrupted; go on with: atelier train {recipe} --out {shlex.quote(str(path))} --resume"
