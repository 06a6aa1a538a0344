"""`make train-all`: trains every recipe with its own settings, and writes docs/models.md from what was reached.

    python -m training.catalogue [RECIPE…] [--runs DIR]

A recipe whose run is in the folder, with today's settings, is not trained again; an interrupted one goes on. Recipes
that need the user's own data have no run of their own.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from training.datasets import LoadOptions, load_dataset
from training.errors import TrainingError
from training.progress import progress_on
from training.reached import Reached, write_reached
from training.recipes import RECIPES, Recipe, Target, find_recipe
from training.run import CURVES, Run, read_config, read_run
from training.run_folder import is_interrupted, partial_path
from training.trainer import train

PAGE = Path("docs/models.md")
PICTURES = Path("docs/images/models")
OWN_DATA = ("folder",)
_LONGER = find_recipe("fashion-mnist-dense").with_settings({"epochs": 15, "early_stopping": 3})
ENTRIES: Mapping[str, Recipe] = {name: recipe for name, recipe in RECIPES.items() if name not in OWN_DATA} | {
    "fashion-mnist-dense-longer": replace(
        _LONGER, title=f"{_LONGER.title}, `--epochs 15 --early-stopping 3`", target=Target(accuracy=0.88)
    )
}
"""What is trained, by the name of its run: every recipe, and the course's longer training of the dense net."""

_HEAD = """# The models of the course

Every recipe, trained with its own settings (`atelier train RECIPE`, seed 0). `make train-all` trains them and writes
this page. Wall times are those of the machine named below, all epochs and their validation; accuracies are of images
that training never saw. Where a data set has no test split, its validation split is what the model is judged by: no
training looks at it, but those who wrote the recipes have.

| recipe | what | data | parameters | epochs | in training | reached | on | target | time |
|---|---|---|---:|---:|---:|---:|---|---|---:|
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains what is missing; 1 where a recipe failed or missed its target."""
    parser = argparse.ArgumentParser(prog="python -m training.catalogue", description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="only these; the page is then left as it is")
    parser.add_argument("--runs", type=Path, default=Path("runs/catalogue"), help="where the run folders are kept")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.recipes if name not in ENTRIES]:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(ENTRIES)}")
    console = Console(markup=False, highlight=False)
    chosen = options.recipes or list(ENTRIES)
    runs: dict[str, Run] = {}
    for name in chosen:
        console.rule(name)
        try:
            runs[name] = _trained(ENTRIES[name], options.runs / name, console)
        except TrainingError as error:
            console.print(f"{name} failed: {error}", style="red", soft_wrap=True)
    if len(runs) == len(ENTRIES):
        _publish(runs)
    else:
        console.print(f"{PAGE} is left as it is: it is written when all are there")
    missed = [name for name in chosen if name not in runs or not ENTRIES[name].target.reached_by(runs[name].metrics)]
    console.print(f"missed: {', '.join(missed)}" if missed else "every target reached")
    return 1 if missed else 0


def _trained(recipe: Recipe, path: Path, console: Console) -> Run:
    """The run of the recipe as it is today: the one on disk, or else a new one."""
    if path.exists():
        run = read_run(path)
        if run.config.settings == recipe.settings:
            return run
        shutil.rmtree(path)
    resume = is_interrupted(path) and read_config(partial_path(path)).settings == recipe.settings
    if not resume:
        shutil.rmtree(partial_path(path), ignore_errors=True)
    dataset = load_dataset(recipe.dataset, LoadOptions(image=recipe.image, warn=console.print))
    return train(recipe, dataset, out=path, progress=progress_on(console), resume=resume)


def _publish(runs: Mapping[str, Run]) -> None:
    write_reached({name: _outcome(run) for name, run in runs.items() if name in RECIPES})
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, run in runs.items():
        shutil.copyfile(run.path / CURVES, PICTURES / f"{name}.png")
    PAGE.write_text(describe(runs), encoding="utf-8")


def describe(runs: Mapping[str, Run]) -> str:
    """The page: one table, and a picture of every training."""
    rows = "".join(_row(name, run) for name, run in runs.items())
    pictures = "".join(
        f"\n## {name}\n\n{ENTRIES[name].title}. {_gap(run)}\n\n"
        f"![loss and {run.config.metric.replace('_', ' ')} by epoch](images/models/{name}.png)\n"
        for name, run in runs.items()
    )
    return f"{_HEAD}{rows}\n{_machine(runs)}\n{pictures}"


def _row(name: str, run: Run) -> str:
    recipe = ENTRIES[name]
    metrics, last = run.metrics, run.history.epochs[-1]
    cells = (
        f"`{name}`",
        recipe.title,
        recipe.dataset,
        f"{metrics.parameters:,}",
        str(len(run.history.epochs)),
        _value(last.metric, run),
        f"**{_value(metrics.value, run)}**",
        f"{metrics.examples:,} {metrics.evaluated_on}",
        str(recipe.target) + ("" if recipe.target.reached_by(metrics) else " (missed)"),
        _duration(metrics.seconds),
    )
    return f"| {' | '.join(cells)} |\n"


def _gap(run: Run) -> str:
    last = run.history.epochs[-1]
    if last.validation_metric is None or run.config.metric != "accuracy":
        return f"Loss {run.metrics.loss:.4f} at the end."
    points = 100 * (last.metric - last.validation_metric)
    return (
        f"In the last epoch {last.metric:.1%} of the training images were recognized and {last.validation_metric:.1%} "
        f"of the validation images: a gap of {points:.1f} points."
    )


def _machine(runs: Mapping[str, Run]) -> str:
    run = next(iter(runs.values()))
    versions = ", ".join(f"{name} {version}" for name, version in run.config.library_versions.items())
    revisions = sorted({str(run.config.git_revision)[:12] for run in runs.values()})
    return f"Trained on {os.cpu_count()} cores ({_processor()}) with {versions}; code: {', '.join(revisions)}."


def _processor() -> str:
    names = [line.split(":", 1)[1].strip() for line in _cpu_lines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _cpu_lines() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _value(value: float, run: Run) -> str:
    return f"{value:.4f}" if run.config.metric == "accuracy" else f"error {value:.2f}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _outcome(run: Run) -> Reached:
    return Reached(
        value=run.metrics.value,
        training_value=run.history.epochs[-1].metric,
        parameters=run.metrics.parameters,
        epochs=len(run.history.epochs),
        seconds=run.metrics.seconds,
    )


if __name__ == "__main__":
    sys.exit(main())
