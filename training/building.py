"""A recipe's model for a data set's classes: to train, and to keep."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from training.checkpoint import assign, values
from training.errors import UsageError
from training.recipes import Recipe
from training.settings import Precision

if TYPE_CHECKING:
    import keras


def build_model(recipe: Recipe, labels: Sequence[str], precision: Precision = "float32") -> keras.Model:
    """The recipe's untrained model for these classes, whose layers compute in that precision.

    Raises:
        UsageError: it does not give one row of scores, or one prediction, for each example.
    """
    outputs = len(labels) if recipe.task == "classification" else 1
    with _computing_in(precision):
        model = recipe.architecture.build(recipe.image, outputs, recipe.output)
    expected = (None, 1 if recipe.output == "sigmoid" else outputs)
    if model.output_shape != expected:
        raise UsageError(
            f"recipe {recipe.name} gives {model.output_shape}, expected {expected}; is a Flatten layer missing?"
        )
    return model


def servable_model(model: keras.Model, recipe: Recipe, labels: Sequence[str]) -> keras.Model:
    """What to judge and keep of a trained model: it computes in float32, whatever it was trained in."""
    if recipe.training.precision == "float32":
        return recipe.architecture.serve(model)
    exact = build_model(recipe, labels)
    assign(exact.variables, values(model.variables))
    return recipe.architecture.serve(exact)


@contextlib.contextmanager
def _computing_in(precision: Precision) -> Iterator[None]:
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
