"""One small digits model, trained and exported once for the whole session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from export.exporter import Exported, export_run
from serving.images import ImageSpec
from training.datasets import load_dataset
from training.progress import progress_on
from training.recipes import Recipe
from training.recipes.base import Target
from training.recipes.layers import classifier
from training.run import Run
from training.trainer import train

if TYPE_CHECKING:
    import keras


def build(image: ImageSpec, classes: int) -> keras.Model:
    """One of each kind that an export has to get right: convolution, normalization, dropout, pooling, dense."""
    import keras

    def body(maps: keras.KerasTensor) -> keras.KerasTensor:
        maps = keras.layers.Conv2D(8, 3, activation="relu")(maps)
        maps = keras.layers.BatchNormalization()(maps)
        maps = keras.layers.Dropout(0.1)(maps)
        maps = keras.layers.MaxPooling2D()(maps)
        return keras.layers.Dense(32, activation="relu")(keras.layers.Flatten()(maps))

    return classifier(image, classes, body)


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run as training leaves it, on the built-in digits."""
    recipe = Recipe(
        name="digits-test",
        title="A small convolutional net",
        dataset="digits",
        image=ImageSpec(8, 8, "grayscale"),
        build=build,
        target=Target(0.8),
        epochs=3,
    )
    path = tmp_path_factory.mktemp("runs") / "digits"
    return train(recipe, load_dataset("digits"), seed=1, out=path, progress=progress_on(Console(quiet=True)))


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root that `exported` is in; tests do not write into it."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def exported(digits_run: Run, repository: Path) -> Exported:
    """The run, published as version 1 of `digits`."""
    return export_run(digits_run, repository)


@pytest.fixture(scope="session")
def digits_images() -> np.ndarray:
    """The 360 test images, uint8 `[360, 8, 8]`."""
    return load_dataset("digits").test.inputs
