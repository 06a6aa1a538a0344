"""The registry, and the models that recipes build."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from serving.images import ImageSpec
from training.datasets import DATASETS
from training.errors import UsageError
from training.recipes import RECIPES, Recipe, Target, find_recipe
from training.recipes.cnn import build_cnn
from training.run import RunMetrics

every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


@every_recipe
def test_every_recipe_names_a_known_data_set(recipe: Recipe) -> None:
    assert recipe.dataset in DATASETS


@every_recipe
def test_every_model_takes_pixels_as_bytes_and_gives_probabilities(recipe: Recipe) -> None:
    model = recipe.build(recipe.image, 10)
    pixels = np.random.default_rng(0).integers(0, 256, (5, *recipe.image.shape), dtype=np.uint8)

    scores = model(pixels).numpy()

    assert [tensor.name for tensor in model.inputs] == ["pixels"]
    assert model.output_names == ["scores"]
    assert model.inputs[0].dtype == "uint8"
    assert scores.shape == (5, 10)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


def test_the_convolutional_net_takes_colour_too() -> None:
    model = build_cnn(ImageSpec(16, 12, "rgb"), 3)

    assert model(np.zeros((2, 16, 12, 3), np.uint8)).shape == (2, 3)


def test_pixels_are_scaled_inside_the_model() -> None:
    model = build_cnn(ImageSpec(4, 4, "grayscale"), 2)

    scaled = model.get_layer("scale")(np.array([[0, 51, 255]], np.uint8)).numpy()

    np.testing.assert_allclose(scaled, [[0, 0.2, 1]], rtol=1e-6)


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=f"no recipe 'lenet'; known: {', '.join(RECIPES)}"):
        find_recipe("lenet")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, "expected at least 1 epoch, received 0"),
        ({"batch_size": 0}, "expected a batch size of at least 1, received 0"),
        ({"learning_rate": 0.0}, "expected a learning rate above 0, received 0"),
        ({"learning_rate": float("nan")}, "expected a learning rate above 0, received nan"),
        ({"validation_split": 1.0}, "expected a validation split between 0 and 1, received 1"),
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(find_recipe("digits-dense"), **setting)


def test_a_target_is_reached_from_its_figure_on() -> None:
    def metrics(accuracy: float) -> RunMetrics:
        return RunMetrics(test_accuracy=accuracy, test_loss=0.1, seconds=1, parameters=1)

    assert Target(0.9).reached_by(metrics(0.9))
    assert not Target(0.9).reached_by(metrics(0.8999))


def test_importing_training_loads_nothing_heavy() -> None:
    code = (
        "import sys, training.trainer, training.recipes, training.datasets, atelier.train;"
        "print({'tensorflow', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules))"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout == "set()\n"
