"""The registry: every recipe by name. A new one is a `Recipe` in a file here, added to this tuple."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from training.errors import UsageError
from training.recipes.base import Architecture, Recipe, Target
from training.recipes.best import FASHION_MNIST_BEST
from training.recipes.cnn import FASHION_MNIST_CNN, FASHION_MNIST_CNN_VALID
from training.recipes.dense import DIGITS_DENSE, FASHION_MNIST_DENSE, MNIST_DENSE
from training.recipes.numbers import CELSIUS, CELSIUS_DEEP
from training.recipes.photos import (
    CATS_VS_DOGS,
    CATS_VS_DOGS_AUGMENTED,
    CATS_VS_DOGS_SIGMOID,
    FLOWERS,
    FOLDER,
    HORSES_OR_HUMANS,
)

__all__ = ["RECIPES", "Architecture", "Recipe", "Target", "find_recipe"]

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            CELSIUS,
            CELSIUS_DEEP,
            DIGITS_DENSE,
            MNIST_DENSE,
            FASHION_MNIST_DENSE,
            FASHION_MNIST_CNN,
            FASHION_MNIST_CNN_VALID,
            FASHION_MNIST_BEST,
            CATS_VS_DOGS,
            CATS_VS_DOGS_AUGMENTED,
            CATS_VS_DOGS_SIGMOID,
            HORSES_OR_HUMANS,
            FLOWERS,
            FOLDER,
        )
    }
)


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UsageError: there is none; the message lists the known ones.
    """
    if name not in RECIPES:
        raise UsageError(f"there is no recipe {name!r}; known: {', '.join(RECIPES)}")
    return RECIPES[name]
