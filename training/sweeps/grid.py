"""A grid of settings and its points."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from training.errors import UsageError
from training.recipes.base import LAYERS, UNITS, Recipe

MAX_FOLDER_NAME = 120
IN_A_LIST = "+"
"""Between the numbers of a value that is a list itself, since the comma is between values."""


@dataclass(frozen=True)
class Grid:
    """What varies, by key with its values as text, and what is set for all points."""

    axes: Mapping[str, tuple[str, ...]]
    common: Mapping[str, str]


@dataclass(frozen=True)
class Point:
    """One combination: the recipe with it, its place in the grid as JSON has it, and its folder's name."""

    recipe: Recipe
    settings: Mapping[str, JsonValue]
    folder: str


def parse_grid(recipe: Recipe, axes: Sequence[str], common: Sequence[str] = ()) -> Grid:
    """Reads `key=value,value…` for the axes, `key=value` for what they have in common.

    A value that is a list itself has `+` between its numbers: `layers=512+256,128` are two values.

    Raises:
        UsageError: nothing varies, a text is of another form, a value is empty, or a key comes twice.
    """
    if not axes:
        raise UsageError("a sweep needs a grid: expected --grid key=value,value, received none")
    pairs = [_split(text, "key=value,value") for text in axes]
    fixed = [_split(text, "key=value") for text in common]
    keys = [key for key, _ in pairs + fixed]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"{key} was given twice; expected all its values in one list, as {key}=value,value")
    return Grid({key: _values(recipe, key, text) for key, text in pairs}, dict(fixed))


def points(recipe: Recipe, grid: Grid) -> tuple[Point, ...]:
    """The points in the grid's order, the last axis changing fastest, but those of one image size together.

    The data set is so loaded once for each size, without being held in every size at once.

    Raises:
        UsageError: the recipe refuses a setting or a value, or two points are the same.
    """
    found = [
        _point(recipe, grid, dict(zip(grid.axes, values, strict=True)))
        for values in itertools.product(*grid.axes.values())
    ]
    for one, other in itertools.pairwise(sorted(found, key=lambda point: point.folder)):
        if one.folder == other.folder:
            raise UsageError(f"the grid has {one.folder} twice; expected different values")
    images = list(dict.fromkeys(point.recipe.image for point in found))
    return tuple(sorted(found, key=lambda point: images.index(point.recipe.image)))


def describe(settings: Mapping[str, JsonValue]) -> str:
    """The settings in a line, such as `units=512 epochs=5`."""
    return " ".join(f"{key}={value_text(value)}" for key, value in settings.items())


def value_text(value: JsonValue) -> str:
    """A value as it is written in a grid."""
    if isinstance(value, list):
        return IN_A_LIST.join(map(value_text, value))
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _split(text: str, form: str) -> tuple[str, str]:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals and value):
        raise UsageError(f"expected {form}, received {text!r}")
    return key, value


def _values(recipe: Recipe, key: str, text: str) -> tuple[str, ...]:
    values = [value.strip() for value in text.split(",")]
    if "" in values:
        raise UsageError(f"expected {key}=value,value without an empty value, received {f'{key}={text}'!r}")
    if isinstance(recipe.settings.get(key), list):
        values = [value.replace(IN_A_LIST, ",") for value in values]
    return tuple(values)


def _point(recipe: Recipe, grid: Grid, chosen: Mapping[str, str]) -> Point:
    given = {**grid.common, **chosen}
    changed = recipe.with_settings(given)
    varying = [key for key in chosen if len(grid.axes[key]) > 1] or list(chosen)
    return Point(
        recipe=changed,
        settings={key: _setting(changed, key) for key in varying},
        folder=_folder_name({key: _setting(changed, key) for key in given}),
    )


def _setting(recipe: Recipe, key: str) -> JsonValue:
    """The value that the recipe made of the text."""
    if key != UNITS:
        value: JsonValue = recipe.settings[key]
        return value
    layers: list[JsonValue] = recipe.settings[LAYERS]
    return layers[0] if len(layers) == 1 else layers


def _folder_name(given: Mapping[str, JsonValue]) -> str:
    """`key=value,…` in the order of the keys: one point has one name, however the command was ordered."""
    name = ",".join(f"{key}={value_text(given[key])}" for key in sorted(given))
    safe = re.sub(r"[^A-Za-z0-9._,=+-]", "_", name)[:MAX_FOLDER_NAME]
    return name if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
