"""One short training on the built-in digits for the whole session."""

from __future__ import annotations

import dataclasses

import pytest
from rich.console import Console

from training.datasets import Dataset, load_dataset
from training.progress import Progress, progress_on
from training.recipes import Recipe, find_recipe
from training.run import Run
from training.trainer import train


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.fixture
def silence() -> Progress:
    return progress_on(Console(quiet=True))


@pytest.fixture(scope="session")
def short_recipe() -> Recipe:
    """`digits-dense`, three epochs of it."""
    return dataclasses.replace(find_recipe("digits-dense"), epochs=3)


@pytest.fixture(scope="session")
def short_run(short_recipe: Recipe, digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run; tests do not write into it."""
    out = tmp_path_factory.mktemp("runs") / "short"
    return train(short_recipe, digits, seed=1, out=out, progress=progress_on(Console(quiet=True)))
