"""What is said of settings that change nothing."""

from __future__ import annotations

import dataclasses

import pytest

from training.datasets import Dataset, load_dataset
from training.recipes import find_recipe
from training.without_effect import without_effect


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, []),
        ({"validation_split": 0.2, "epochs": 2, "units": 5}, []),
        ({"shift": 0.3}, ["shift has no effect: augment is false"]),
        ({"zoom": 0.3, "flip": True, "augment": False}, ["flip, zoom have no effect: augment is false"]),
        ({"zoom": 0.3, "augment": True}, []),
    ],
)
def test_amounts_of_an_augmentation_that_does_not_happen_are_said(
    settings: dict[str, object], expected: list[str], few_digits: Dataset
) -> None:
    recipe = find_recipe("digits-dense").with_settings(settings)

    assert list(without_effect(recipe, settings, few_digits)) == expected


def test_a_share_to_validate_with_is_not_needed_where_the_data_has_it(few_digits: Dataset) -> None:
    dataset = dataclasses.replace(few_digits, validation=few_digits.test)
    recipe = find_recipe("digits-dense")

    assert list(without_effect(recipe, {"validation_split"}, dataset)) == [
        "validation_split has no effect: digits has a validation split of its own"
    ]
    assert list(without_effect(recipe, {}, dataset)) == []


def test_a_regression_has_nothing_to_move_about() -> None:
    assert list(without_effect(find_recipe("celsius"), {"epochs"}, load_dataset("celsius"))) == []
