"""One short training on the built-in digits for the whole session."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rich.console import Console

from training.datasets import Dataset, Split, load_dataset
from training.progress import Progress, progress_on
from training.recipes import Recipe, find_recipe
from training.run import Run
from training.trainer import train


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.fixture(scope="session")
def few_digits(digits: Dataset) -> Dataset:
    """The first hundred to train with, fifty to be judged by: an epoch is over in no time."""
    return dataclasses.replace(digits, train=digits.train.take(np.arange(100)), test=_test(digits).take(np.arange(50)))


@pytest.fixture
def silence() -> Progress:
    return progress_on(Console(quiet=True))


@pytest.fixture(scope="session")
def short_recipe() -> Recipe:
    """`digits-dense`, three epochs of it, seed 1."""
    return find_recipe("digits-dense").with_settings({"epochs": 3, "seed": 1})


@pytest.fixture(scope="session")
def short_run(short_recipe: Recipe, digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run; tests do not write into it."""
    out = tmp_path_factory.mktemp("runs") / "short"
    return train(short_recipe, digits, out=out, progress=progress_on(Console(quiet=True)))


def _test(dataset: Dataset) -> Split:
    assert dataset.test is not None
    return dataset.test
