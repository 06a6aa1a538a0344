"""`atelier train` and `atelier recipes`."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atelier.console import FAILED, WRONG_USE, needs_extra, plain_console, sentences, sigterm_as_ctrl_c

if TYPE_CHECKING:
    from rich.text import Text

    from training.recipes import Recipe
    from training.run import Run

MAX_SEED = 2**32 - 1
MAX_COUNT = 2**31 - 1


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="What to train; `atelier recipes` lists them.")],
    data: Annotated[Path | None, typer.Option(help="Folder with the data set's files.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, max=MAX_COUNT, help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, max=MAX_COUNT, help="Images in a training step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Adam's step size, above 0.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Same seed, same weights.")] = 0,
    out: Annotated[Path | None, typer.Option(help="New run folder; runs/<recipe>-<date>-<time> if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Train a recipe and leave a run folder: settings, history, weights, metrics and a picture of the curves."""
    with _errors_in_a_sentence():
        from training.datasets import load_dataset
        from training.progress import progress_on
        from training.recipes import find_recipe
        from training.run_folder import check_free, default_run_path
        from training.trainer import train as train_recipe

        overrides = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
        given = {name: value for name, value in overrides.items() if value is not None}
        settings: Recipe = dataclasses.replace(find_recipe(recipe), **given)  # type: ignore[arg-type]
        path = out or default_run_path(recipe, datetime.datetime.now().astimezone())
        check_free(path)
        console = plain_console(stderr=as_json)
        dataset = load_dataset(settings.dataset, data)
        console.print(
            f"{settings.name}: {len(dataset.train):,} images for training, {len(dataset.test):,} for the test, "
            f"from {dataset.source}",
            soft_wrap=True,
        )
        run = train_recipe(settings, dataset, seed=seed, out=path, progress=progress_on(console))
    if as_json:
        typer.echo(json.dumps(_as_json(settings, run)))
    else:
        console.print(_in_words(settings, run), soft_wrap=True)


def recipes(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List what `atelier train` can train."""
    from rich.table import Table

    from training.recipes import RECIPES

    if as_json:
        typer.echo(json.dumps([_recipe_facts(recipe) for recipe in RECIPES.values()]))
        return
    table = Table("recipe", "what", "data set", "image", "epochs", "target", box=None, header_style="bold")
    table.columns[0].no_wrap = True
    for recipe in RECIPES.values():
        image = f"{recipe.image.height}×{recipe.image.width} {recipe.image.colour}"
        target = f"≥ {recipe.target.test_accuracy:.1%}"
        table.add_row(recipe.name, recipe.title, recipe.dataset, image, str(recipe.epochs), target)
    plain_console().print(table)


@contextlib.contextmanager
def _errors_in_a_sentence() -> Iterator[None]:
    from training.errors import TrainingError, UsageError

    statuses: dict[type[Exception], int] = {UsageError: WRONG_USE, TrainingError: FAILED}
    interrupted = "interrupted; no run folder was left behind"
    with needs_extra("training"), sentences(statuses, interrupted=interrupted), sigterm_as_ctrl_c():
        yield


def _in_words(recipe: Recipe, run: Run) -> Text:
    from rich.text import Text

    metrics, target = run.metrics, recipe.target
    return Text.assemble(
        f"test accuracy {metrics.test_accuracy:.4f} (target {target.test_accuracy:.3f} ",
        "reached" if target.reached_by(metrics) else ("missed", "yellow"),
        f"), test loss {metrics.test_loss:.4f}, {metrics.parameters:,} parameters, {metrics.seconds:.1f} s\n",
        f"run folder: {run.path}",
    )


def _as_json(recipe: Recipe, run: Run) -> dict[str, Any]:
    return {
        "run": str(run.path),
        "recipe": recipe.name,
        "metrics": run.metrics.model_dump(),
        "target": dataclasses.asdict(recipe.target),
        "target_reached": recipe.target.reached_by(run.metrics),
    }


def _recipe_facts(recipe: Recipe) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "title": recipe.title,
        "task": recipe.task,
        "dataset": recipe.dataset,
        "image": dataclasses.asdict(recipe.image),
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "target": dataclasses.asdict(recipe.target),
    }
