"""The registry: every recipe by name. A new one is a `Recipe` in a file here, added to this tuple."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from training.errors import UsageError
from training.recipes.base import Recipe, Target
from training.recipes.cnn import FASHION_MNIST_CNN
from training.recipes.dense import DIGITS_DENSE, FASHION_MNIST_DENSE

__all__ = ["RECIPES", "Recipe", "Target", "find_recipe"]

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {recipe.name: recipe for recipe in (FASHION_MNIST_DENSE, FASHION_MNIST_CNN, DIGITS_DENSE)}
)


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UsageError: there is none; the message lists the known ones.
    """
    if name not in RECIPES:
        raise UsageError(f"there is no recipe {name!r}; known: {', '.join(RECIPES)}")
    return RECIPES[name]
