"""What is trained with, and what the training is watched with."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.datasets import Dataset, Split
from training.errors import UsageError
from training.holding_out import training_and_validation


def numbered(count: int) -> Split:
    """Each image holds its own number, which is its class too."""
    numbers = np.arange(count)
    return Split(numbers.astype(np.uint8).reshape(-1, 1, 1), numbers.astype(np.int64))


def dataset_of(train: Split, validation: Split | None = None) -> Dataset:
    names = tuple(f"class {label}" for label in range(int(train.targets.max()) + 1))
    return Dataset("numbered", names, train, numbered(2), "here", validation)


@given(st.integers(2, 200), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_every_image_is_in_exactly_one_part(count: int, fraction: float, seed: int) -> None:
    try:
        rest, held_out = training_and_validation(dataset_of(numbered(count)), fraction, seed)
    except UsageError:
        assert round(count * fraction) in {0, count}
        return

    assert held_out is not None
    assert sorted([*rest.targets, *held_out.targets]) == list(range(count))
    assert len(held_out) == round(count * fraction)
    np.testing.assert_array_equal(held_out.inputs.ravel(), held_out.targets.astype(np.uint8))


def test_the_same_seed_holds_out_the_same_images_and_another_seed_others() -> None:
    def held_out(seed: int) -> list[int]:
        validation = training_and_validation(dataset_of(numbered(100)), 0.2, seed)[1]
        assert validation is not None
        return list(validation.targets)

    assert held_out(1) == held_out(1)
    assert held_out(1) != held_out(2)


def test_nothing_is_held_out_where_the_fraction_is_0_or_the_data_set_has_a_validation_split() -> None:
    train, validation = numbered(10), numbered(3)

    assert training_and_validation(dataset_of(train), 0, seed=0) == (train, None)
    assert training_and_validation(dataset_of(train, validation), 0.5, seed=0) == (train, validation)


def test_a_fraction_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(
        UsageError,
        match=r"a validation split of 0.1 leaves one part of 3 examples empty: expected .*; 0 validates nothing",
    ):
        training_and_validation(dataset_of(numbered(3)), 0.1, seed=0)


@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.floats(0.1, 0.9), st.integers(0, 99))
def test_small_classes_are_trained_with_first_and_validated_where_they_can_be(
    sizes: list[int], fraction: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    split = Split(np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1), labels)
    try:
        rest, held_out = training_and_validation(dataset_of(split), fraction, seed)
    except UsageError:
        return

    assert held_out is not None
    assert sorted([*rest.inputs.ravel(), *held_out.inputs.ravel()]) == list(range(len(labels)))
    trained, validated = Counter(rest.targets.tolist()), Counter(held_out.targets.tolist())
    if len(rest) >= len(sizes):
        assert set(trained) == set(range(len(sizes)))
        if len(held_out) >= len(sizes):
            assert {label for label, size in enumerate(sizes) if size > 1} <= set(validated)


def test_large_classes_are_drawn_by_chance_alone() -> None:
    labels = np.arange(1000) % 3
    split = Split(np.zeros((1000, 1, 1), np.uint8), labels)

    rest, held_out = training_and_validation(dataset_of(split), 0.1, seed=0)

    order = np.random.default_rng(0).permutation(1000)
    assert held_out is not None
    np.testing.assert_array_equal(held_out.targets, labels[order[:100]])
    np.testing.assert_array_equal(rest.targets, labels[order[100:]])
