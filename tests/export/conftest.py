"""One small digits model, trained and exported once for the whole session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.exporter import Exported, export_run
from serving.images import ImageSpec
from training.datasets import load_dataset
from training.environment import library_versions, quiet_tensorflow
from training.run import CONFIG, HISTORY, METRICS, MODEL, History, Run, RunConfig, RunMetrics, read_run

EPOCHS = 3


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run as training leaves it: a convolution and a dense layer on the built-in digits."""
    quiet_tensorflow()
    import keras

    path = tmp_path_factory.mktemp("digits-run")
    dataset = load_dataset("digits")
    keras.utils.set_random_seed(1)
    pixels = keras.Input((8, 8), dtype="uint8", name="pixels")
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.Reshape((8, 8, 1))(x)
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.Dropout(0.1)(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(pixels, keras.layers.Dense(10, activation="softmax", name="scores")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(dataset.train.images, dataset.train.labels, epochs=EPOCHS, verbose=0)
    loss, accuracy = model.evaluate(dataset.test.images, dataset.test.labels, verbose=0)
    model.save(path / MODEL)
    RunConfig(
        recipe="digits-test",
        task="classification",
        dataset="digits",
        dataset_sha256=dataset.sha256,
        labels=dataset.labels,
        image=ImageSpec(8, 8, "grayscale"),
        epochs=EPOCHS,
        batch_size=32,
        learning_rate=0.001,
        validation_split=0.1,
        seed=1,
        library_versions=library_versions(),
        git_revision=None,
        started_at="2026-11-20T12:00:00+00:00",
    ).write(path / CONFIG)
    figures = (0.5,) * EPOCHS
    History(
        loss=figures, accuracy=figures, validation_loss=figures, validation_accuracy=figures, seconds=figures
    ).write(path / HISTORY)
    RunMetrics(
        test_accuracy=accuracy, test_loss=loss, seconds=1.0, parameters=model.count_params()
    ).write(path / METRICS)
    return read_run(path)


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
    return load_dataset("digits").test.images
