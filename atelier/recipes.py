"""`atelier recipes`."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import typer

from atelier.console import plain_console
from atelier.options import AsJson

if TYPE_CHECKING:
    from training.reached import Reached
    from training.recipes import Recipe

_COLUMNS = ("recipe", "task", "data set", "input", "epochs", "parameters", "target", "reached")
_MAX_WIDTH = 1000
_COLOURS = {"grayscale": "gray", "rgb": "RGB"}


def recipes(
    as_json: AsJson = False,
) -> None:
    """List what `atelier train` can train."""
    from rich.measure import Measurement
    from rich.table import Table

    from training.reached import read_reached
    from training.recipes import RECIPES

    reached = read_reached()
    if as_json:
        typer.echo(json.dumps([_recipe_facts(recipe, reached.get(recipe.name)) for recipe in RECIPES.values()]))
        return
    table = Table(*_COLUMNS, box=None, pad_edge=False)
    for recipe in RECIPES.values():
        facts = _recipe_facts(recipe, reached.get(recipe.name))
        table.add_row(
            recipe.name,
            recipe.task,
            recipe.dataset,
            "a number"
            if recipe.image is None
            else f"{recipe.image.height}×{recipe.image.width} {_COLOURS[recipe.image.colour]}",
            str(recipe.training.epochs),
            "" if facts["parameters"] is None else f"{facts['parameters']:,}",
            str(recipe.target).removeprefix("accuracy ").removeprefix("mean absolute "),
            "" if facts["reached"] is None else f"{facts['reached']:.4f}",
        )
    console = plain_console()
    # Where a line is too short, as in a pipe, it goes on in the next: no column is cut off.
    whole = Measurement.get(console, console.options.update(max_width=_MAX_WIDTH), table)
    console.width = max(console.width, whole.maximum)
    console.print(table)


def _recipe_facts(recipe: Recipe, reached: Reached | None) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "title": recipe.title,
        "task": recipe.task,
        "dataset": recipe.dataset,
        "image": None if recipe.image is None else dataclasses.asdict(recipe.image),
        "settings": recipe.settings,
        "target": dataclasses.asdict(recipe.target),
        "parameters": None if reached is None else reached.parameters,
        "reached": None if reached is None else reached.value,
    }
