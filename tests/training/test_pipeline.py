"""Holding out a validation split, and batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.datasets import Split
from training.errors import UsageError
from training.pipeline import batches, hold_out


def numbered(count: int) -> Split:
    """Each image holds its own number, which is its label too."""
    numbers = np.arange(count)
    return Split(numbers.astype(np.uint8).reshape(-1, 1, 1), numbers.astype(np.int64))


@given(st.integers(2, 200), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_every_image_is_in_exactly_one_part(count: int, fraction: float, seed: int) -> None:
    try:
        rest, held_out = hold_out(numbered(count), fraction, seed)
    except UsageError:
        assert round(count * fraction) in {0, count}
        return

    assert sorted([*rest.labels, *held_out.targets]) == list(range(count))
    assert len(held_out) == round(count * fraction)
    np.testing.assert_array_equal(held_out.inputs.ravel(), held_out.targets.astype(np.uint8))


def test_the_same_seed_holds_out_the_same_images_and_another_seed_others() -> None:
    first, again, other = (hold_out(numbered(100), 0.2, seed)[1].labels for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_fraction_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a validation split of 0.1 leaves one part of 3 images empty"):
        hold_out(numbered(3), 0.1, seed=0)


def test_unshuffled_batches_keep_the_order_and_the_last_one_is_smaller() -> None:
    sizes_and_labels = [
        (len(images), labels.tolist()) for images, labels in batches(numbered(5), 2).as_numpy_iterator()
    ]

    assert sizes_and_labels == [(2, [0, 1]), (2, [2, 3]), (1, [4])]


def test_shuffled_batches_hold_every_image_once_in_a_new_order_each_epoch() -> None:
    shuffled = batches(numbered(50), 8, shuffle_seed=1)

    epochs = [np.concatenate([labels for _, labels in shuffled.as_numpy_iterator()]).tolist() for _ in range(2)]

    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(50))
    assert epochs[0] != epochs[1]


def test_images_and_labels_stay_together_when_shuffled() -> None:
    for images, labels in batches(numbered(50), 8, shuffle_seed=1).as_numpy_iterator():
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images.ravel(), labels.astype(np.uint8))
