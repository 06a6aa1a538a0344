"""Small models of every kind, trained once for the whole session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.exporter import Exported
from serving.images import ImageSpec
from tests.support.exports import export_run
from tests.support.runs import convolutional_net, regression, train_by_hand
from training.datasets import load_dataset
from training.datasets.base import LoadOptions
from training.environment import quiet_tensorflow
from training.run import Run

DIGITS_IMAGE = ImageSpec(8, 8, "grayscale")
SHAPES_IMAGE = ImageSpec(24, 24, "rgb")
IMAGES_OF_A_SHAPE = {"train": 40, "validation": 12}


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run as training leaves it, on the built-in digits."""
    seed_keras()
    dataset = load_dataset("digits", LoadOptions(image=DIGITS_IMAGE))
    model = convolutional_net(DIGITS_IMAGE, len(dataset.labels), "softmax")
    path = tmp_path_factory.mktemp("runs") / "digits"
    return train_by_hand(path, model, dataset, "softmax", image=DIGITS_IMAGE, epochs=15)


@pytest.fixture(scope="session")
def celsius_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A regression: degrees Fahrenheit from degrees Celsius."""
    seed_keras()
    path = tmp_path_factory.mktemp("runs") / "celsius"
    return train_by_hand(
        path, regression(), load_dataset("celsius", LoadOptions()), "linear", epochs=300, learning_rate=0.1
    )


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one's own images: reddish and bluish noise, with a training and a validation split."""
    root = tmp_path_factory.mktemp("images") / "my-shapes"
    noise = np.random.default_rng(4)
    for split, count in IMAGES_OF_A_SHAPE.items():
        for label, channel in (("blue", 2), ("red", 0)):
            folder = root / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = noise.integers(0, 200, (30, 40, 3), np.uint8)
                pixels[..., channel] += 55
                Image.fromarray(pixels).save(folder / f"{index:02}.png")
    return root


@pytest.fixture(scope="session", params=["softmax", "sigmoid"])
def shapes_run(request: pytest.FixtureRequest, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A colour classifier of two classes, with one probability for each or one sigmoid unit for both."""
    seed_keras()
    dataset = load_dataset("folder", LoadOptions(data_dir=shapes, image=SHAPES_IMAGE))
    model = convolutional_net(SHAPES_IMAGE, len(dataset.labels), request.param)
    path = tmp_path_factory.mktemp("runs") / request.param
    return train_by_hand(path, model, dataset, request.param, image=SHAPES_IMAGE, data_dir=shapes)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root that `exported` is in; tests do not write into it."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def exported(digits_run: Run, repository: Path) -> Exported:
    """The digits, published as version 1 of `digits`."""
    return export_run(digits_run, repository)


@pytest.fixture(scope="session")
def exported_regression(celsius_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The regression, published as version 1 of `celsius` in a repository of its own."""
    return export_run(celsius_run, tmp_path_factory.mktemp("regressions"))


@pytest.fixture(scope="session")
def exported_shapes(shapes_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The colour classifier, published as version 1 of `my-shapes` in a repository of its own."""
    return export_run(shapes_run, tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="session")
def digits_images() -> np.ndarray:
    """The 360 test images, uint8 `[360, 8, 8]`."""
    _, split = load_dataset("digits", LoadOptions(image=DIGITS_IMAGE)).evaluation
    return split.inputs


def seed_keras() -> None:
    quiet_tensorflow()
    import keras

    keras.utils.set_random_seed(1)
