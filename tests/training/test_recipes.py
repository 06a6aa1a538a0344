"""The registry, and the models that recipes build."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.images import ImageSpec
from tests.support.run_records import metrics
from training.building import build_model
from training.datasets import DATASETS, Dataset, Split
from training.errors import DatasetError, UsageError
from training.progress import Progress
from training.recipes import RECIPES, Architecture, Recipe, Target, find_recipe
from training.recipes.cnn import ConvNet
from training.recipes.dense import DenseNet
from training.recipes.numbers import LinearNet
from training.run import Output
from training.trainer import train

every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


def labels_of(recipe: Recipe) -> tuple[str, ...]:
    if recipe.task == "regression":
        return ()
    return ("no", "yes") if recipe.output == "sigmoid" else ("one", "two", "three")


def inputs_of(recipe: Recipe, count: int) -> np.ndarray:
    random = np.random.default_rng(0)
    if recipe.image is None:
        return random.uniform(-1, 1, (count, 1)).astype(np.float32)
    return random.integers(0, 256, (count, *recipe.image.shape), dtype=np.uint8)


def made_up(recipe: Recipe) -> Dataset:
    """A handful of examples of the recipe's kind."""
    classes = len(labels_of(recipe))

    def split(count: int) -> Split:
        inputs = inputs_of(recipe, count)
        return Split(inputs, np.arange(count) % classes if classes else 2 * inputs)

    return Dataset(recipe.dataset, labels_of(recipe), split(12), split(6), source="a test")


@every_recipe
def test_every_recipe_names_a_known_data_set(recipe: Recipe) -> None:
    assert recipe.dataset in DATASETS


@every_recipe
def test_every_model_takes_raw_examples_and_gives_what_serving_promises(recipe: Recipe, tmp_path: Path) -> None:
    import keras

    model = build_model(recipe, labels_of(recipe))
    examples = inputs_of(recipe, 3)
    given = model(examples).numpy()

    is_number = recipe.task == "regression"
    assert [tensor.name for tensor in model.inputs] == ["features" if is_number else "pixels"]
    assert model.inputs[0].dtype == ("float32" if is_number else "uint8")
    assert model.output_names == ["predictions" if is_number else "scores"]
    assert given.dtype == np.float32
    if recipe.output == "softmax":
        assert given.shape == (3, 3)
        np.testing.assert_allclose(given.sum(axis=1), 1, rtol=1e-5)
    else:
        assert given.shape == (3, 1)
    if recipe.output == "sigmoid":
        assert ((given >= 0) & (given <= 1)).all()
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(examples).numpy(), given)


@every_recipe
def test_every_recipe_trains_from_end_to_end(recipe: Recipe, tmp_path: Path, silence: Progress) -> None:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 4, "validation_split": 0.25}
    if recipe.image is not None:
        settings |= {"image_size": min(recipe.image.height, 100)}
    recipe = recipe.with_settings(settings)

    run = train(recipe, made_up(recipe), out=tmp_path / "run", progress=silence)

    assert run.config.settings == recipe.settings
    assert (run.metrics.examples, run.metrics.metric) == (6, recipe.metric)
    outputs = run.load_model()(inputs_of(recipe, 2))
    assert outputs.shape == (2, max(1, len(run.config.labels)))
    assert (run.path / "report.html").stat().st_size > 1000


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("celsius", 2),
        ("celsius-deep", 33),
        ("mnist-dense", 407_050),
        ("fashion-mnist-dense", 101_770),
        ("fashion-mnist-cnn", 421_642),
        ("fashion-mnist-cnn-valid", 243_786),
        ("cats-vs-dogs", 3_453_634),
        ("horses-or-humans", 1_704_097),
    ],
)
def test_the_course_s_models_have_the_course_s_sizes(name: str, parameters: int) -> None:
    recipe = find_recipe(name)
    classes = {"softmax": 2 if name == "cats-vs-dogs" else 10, "sigmoid": 2, "linear": 0}[recipe.output]

    assert build_model(recipe, tuple(map(str, range(classes)))).count_params() == parameters


def test_the_best_net_is_small_enough_for_two_megabytes() -> None:
    model = build_model(find_recipe("fashion-mnist-best"), tuple("0123456789"))

    assert 4 * model.count_params() < 2_000_000


def test_images_need_be_neither_square_nor_gray() -> None:
    for architecture in (ConvNet(filters=(4,)), DenseNet()):
        model = architecture.build(ImageSpec(16, 12, "rgb"), 3, "softmax")

        assert model(np.zeros((2, 16, 12, 3), np.uint8)).shape == (2, 3)


@pytest.mark.parametrize(("normalize", "expected"), [(True, [0, 0.2, 1]), (False, [0, 51, 255])])
def test_pixels_are_scaled_inside_the_model_unless_told_otherwise(normalize: bool, expected: list[float]) -> None:
    model = DenseNet(normalize=normalize).build(ImageSpec(4, 4, "grayscale"), 2, "softmax")

    scaled = model.get_layer("scale")(np.array([[0, 51, 255]], np.uint8)).numpy()

    np.testing.assert_allclose(scaled, [expected], rtol=1e-6)


def test_layers_units_and_dropout_shape_the_model() -> None:
    recipe = find_recipe("mnist-dense").with_settings({"layers": "32,16", "dropout": 0.5})
    model = build_model(recipe, tuple("0123456789"))

    dense = [layer.units for layer in model.layers if type(layer).__name__ == "Dense"]
    dropouts = [layer.rate for layer in model.layers if type(layer).__name__ == "Dropout"]
    assert dense == [32, 16, 10]
    assert dropouts == [0.5]


class WithoutFlatten(Architecture):
    """The mistake that the course warns of."""

    def build(self, image: ImageSpec | None, outputs: int, output: Output) -> Any:
        import keras

        assert image is not None
        pixels = keras.Input(image.shape, dtype="uint8", name="pixels")
        return keras.Model(pixels, keras.layers.Dense(outputs, name="logits")(keras.layers.Rescaling(1 / 255)(pixels)))


def test_a_model_without_flatten_is_refused_with_both_shapes() -> None:
    recipe = dataclasses.replace(find_recipe("digits-dense"), architecture=WithoutFlatten())

    with pytest.raises(
        UsageError,
        match=r"^recipe digits-dense gives \(None, 8, 3\), expected \(None, 3\); is a Flatten layer missing\?$",
    ):
        build_model(recipe, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("architecture", "image", "outputs", "output", "message"),
    [
        (DenseNet(), ImageSpec(8, 8, "grayscale"), 3, "sigmoid", "one sigmoid tells 2 classes apart, but the .* has 3"),
        (DenseNet(), None, 3, "softmax", "a classifier needs images, but the data set has numbers"),
        (ConvNet(), None, 3, "softmax", "a classifier needs images, but the data set has numbers"),
        (LinearNet(), ImageSpec(8, 8, "rgb"), 1, "linear", "a regression takes numbers, but the data set has images"),
        (
            ConvNet(filters=(8,) * 5, padding="valid"),
            ImageSpec(28, 28, "rgb"),
            3,
            "softmax",
            "the layers do not fit an image of 28x28 pixels: less than one would be left of it$",
        ),
    ],
)
def test_models_that_cannot_be_are_refused(
    architecture: Architecture, image: ImageSpec | None, outputs: int, output: Output, message: str
) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        architecture.build(image, outputs, output)


def test_a_class_that_the_last_layer_does_not_have_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"folder's training split has classes 0..3, expected 0..2"):
        Dataset(
            "folder",
            ("a", "b", "c"),
            Split(np.zeros((4, 8, 8), np.uint8), np.arange(4)),
            None,
            "a test",
            None or Split(np.zeros((3, 8, 8), np.uint8), np.arange(3)),
        )


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=f"no recipe 'lenet'; known: {', '.join(RECIPES)}"):
        find_recipe("lenet")


@pytest.mark.parametrize(
    ("target", "value", "metric", "reached"),
    [
        (Target(accuracy=0.9), 0.9, "accuracy", True),
        (Target(accuracy=0.9), 0.8999, "accuracy", False),
        (Target(accuracy=0.9), 0.95, "mean_absolute_error", False),
        (Target(mean_absolute_error=2), 2.0, "mean_absolute_error", True),
        (Target(mean_absolute_error=2), 2.1, "mean_absolute_error", False),
        (Target(), 0.0, "accuracy", True),
    ],
)
def test_a_target_is_reached_from_its_figure_on(target: Target, value: float, metric: str, reached: bool) -> None:
    assert target.reached_by(metrics(value, metric=metric)) is reached


def test_a_target_reads_as_people_write_it() -> None:
    shown = [str(target) for target in (Target(accuracy=0.905), Target(mean_absolute_error=2), Target())]

    assert shown == ["accuracy ≥ 0.905", "mean absolute error ≤ 2", "none"]
    assert [target.is_none for target in (Target(accuracy=0.9), Target())] == [False, True]


def test_importing_training_loads_nothing_heavy() -> None:
    code = (
        "import sys, training.trainer, training.catalogue, training.recipes, training.datasets, atelier.train;"
        "print({'tensorflow', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules))"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout == "set()\n"
