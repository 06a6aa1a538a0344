"""Settings that somebody chose but that change nothing in this training: to be said, not passed over."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from training.datasets import Dataset
from training.recipes import Recipe
from training.settings import Augmentation

VALIDATION_SPLIT, AUGMENT = "validation_split", "augment"


def without_effect(recipe: Recipe, given: Collection[str], dataset: Dataset) -> Iterator[str]:
    """A sentence for each reason why settings have no effect.

    Args:
        recipe: with the settings.
        given: the keys of those that were chosen.
        dataset: what it will be trained with.
    """
    if VALIDATION_SPLIT in given and dataset.validation is not None:
        yield f"{VALIDATION_SPLIT} has no effect: {dataset.name} has a validation split of its own"
    if recipe.augmentation is None or recipe.augmentation.augment:
        return
    amounts = [key for key in Augmentation.model_fields if key in given and key != AUGMENT]
    if amounts:
        yield f"{', '.join(amounts)} {'has' if len(amounts) == 1 else 'have'} no effect: {AUGMENT} is false"
