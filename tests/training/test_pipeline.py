"""Holding out a validation split, and batches for one device or for many."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.datasets import Dataset, Split
from training.holding_out import training_and_validation
from training.pipeline import (
    Share,
    evaluation_batch_size,
    evaluation_batches,
    steps_per_epoch,
    training_batches,
)
from training.settings import Augmentation

ALONE = Share()


def numbered(count: int) -> Split:
    """Each image holds its own number, which is its class too."""
    numbers = np.arange(count)
    return Split(numbers.astype(np.uint8).reshape(-1, 1, 1), numbers.astype(np.int64))


def dataset_of(train: Split, validation: Split | None = None) -> Dataset:
    return Dataset("numbers", tuple(map(str, range(256))), train, numbered(2), "a test", validation)


def mapped(split: Split, folder: Path) -> Split:
    """The same examples, in a file."""
    inputs = np.memmap(folder / "inputs", np.uint8, "w+", shape=split.inputs.shape)
    inputs[:] = split.inputs
    return Split(inputs, split.targets)


def batches_of(
    split: Split,
    batch_size: int,
    *,
    epochs: range = range(1),
    seed: int = 0,
    augmentation: Augmentation | None = None,
    share: Share = ALONE,
) -> list[tuple[np.ndarray, np.ndarray, float]]:
    batches = training_batches(split, batch_size, epochs=epochs, seed=seed, augmentation=augmentation, share=share)
    return [(inputs, targets, float(examples)) for inputs, targets, examples in batches.as_numpy_iterator()]


def targets_of(batches: Iterable[tuple[np.ndarray, np.ndarray, float]]) -> list[list[int]]:
    return [targets.tolist() for _, targets, _ in batches]


def order_of(batches: Iterable[tuple[np.ndarray, np.ndarray, float]]) -> list[int]:
    return list(itertools.chain.from_iterable(targets_of(batches)))


def test_parts_of_a_mapped_file_are_the_same_as_in_memory_and_stay_out_of_memory(tmp_path: Path) -> None:
    split = numbered(256)
    parts = training_and_validation(dataset_of(split), 0.2, seed=1)

    from_file = training_and_validation(dataset_of(mapped(split, tmp_path)), 0.2, seed=1)

    for part, other in zip(parts, from_file, strict=True):
        assert part is not None
        assert other is not None
        assert isinstance(other.inputs, np.memmap)
        np.testing.assert_array_equal(part.inputs, other.inputs)
        np.testing.assert_array_equal(part.targets, other.targets)


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_every_example_is_met_once_in_an_epoch(count: int, batch_size: int, seed: int) -> None:
    batches = batches_of(numbered(count), batch_size, seed=seed)

    assert len(batches) == steps_per_epoch(numbered(count), batch_size)
    assert sorted(order_of(batches)) == list(range(count))
    assert all(len(targets) == examples == batch_size for _, targets, examples in batches[:-1])
    for inputs, targets, examples in batches:
        assert inputs.dtype == np.uint8
        assert len(targets) == examples
        np.testing.assert_array_equal(inputs.ravel(), targets.astype(np.uint8))


def test_each_epoch_has_an_order_of_its_own_and_each_seed_too() -> None:
    orders = [
        order_of(batches_of(numbered(50), 8, epochs=range(epoch, epoch + 1), seed=seed))
        for epoch, seed in ((0, 1), (1, 1), (0, 2), (1, 2))
    ]

    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in [*orders, range(50)]}) == 5


def test_taken_up_at_any_epoch_the_batches_are_the_same_augmentation_included() -> None:
    split = Split(np.random.default_rng(0).integers(0, 256, (10, 8, 8), np.uint8), np.arange(10))
    course = Augmentation(augment=True)

    whole = batches_of(split, 4, epochs=range(3), seed=5, augmentation=course)
    later = batches_of(split, 4, epochs=range(2, 3), seed=5, augmentation=course)

    assert len(whole) == 3 * len(later) == 9
    for (inputs, targets, _), (same_inputs, same_targets, _) in zip(whole[6:], later, strict=True):
        np.testing.assert_array_equal(inputs, same_inputs)
        np.testing.assert_array_equal(targets, same_targets)
    assert not np.array_equal(whole[0][0], batches_of(split, 4, seed=5)[0][0])


@pytest.mark.parametrize(
    "shares", [[Share(0, 1, 2), Share(1, 2, 2)], [Share(0, 2, 3), Share(2, 3, 3)], [Share(0, 4, 4)]]
)
def test_together_the_replicas_have_each_whole_batch(shares: list[Share]) -> None:
    split = numbered(43)  # the last batch has 3: fewer than there may be replicas
    whole = targets_of(batches_of(split, 8, epochs=range(2), seed=3))

    dealt = [batches_of(split, 8, epochs=range(2), seed=3, share=share) for share in shares]

    for step, batch in enumerate(whole):
        together = []
        for share, batches in zip(shares, dealt, strict=True):
            replicas = share.end - share.first
            for _, targets, examples in batches[step * replicas : (step + 1) * replicas]:
                assert examples == len(batch)
                assert abs(len(targets) - len(batch) / share.of) < 1
                together += targets.tolist()
        assert together == batch


def test_a_mapped_file_gives_the_same_batches_as_memory(tmp_path: Path) -> None:
    split = Split(np.random.default_rng(0).integers(0, 256, (30, 5, 4, 3), np.uint8), np.arange(30))
    file = mapped(split, tmp_path)

    in_memory = [*batches_of(split, 7, seed=1), *evaluation_batches(split).as_numpy_iterator()]
    from_file = [*batches_of(file, 7, seed=1), *evaluation_batches(file).as_numpy_iterator()]

    for one, other in zip(in_memory, from_file, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)


def test_evaluation_keeps_the_order() -> None:
    split = Split(np.zeros((1203, 2, 2), np.uint8), np.arange(1203))

    sizes = [len(targets) for _, targets, _ in evaluation_batches(split).as_numpy_iterator()]
    order = np.concatenate([targets for _, targets, _ in evaluation_batches(split).as_numpy_iterator()])

    assert sizes == [500, 500, 203]
    np.testing.assert_array_equal(order, split.targets)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((1, 28, 28), np.uint8, 500),
        ((1, 150, 150, 3), np.uint8, 124),
        ((1, 300, 300, 3), np.uint8, 31),
        ((1, 4000, 4000, 3), np.uint8, 1),
        ((1, 1), np.float32, 500),
    ],
)
def test_an_evaluation_batch_is_as_large_as_eight_megabytes_hold(
    shape: tuple[int, ...], dtype: type[np.generic], expected: int
) -> None:
    assert evaluation_batch_size(Split(np.zeros(shape, dtype), np.zeros(1, np.int64))) == expected
