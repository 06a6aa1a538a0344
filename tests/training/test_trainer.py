"""Training for real, on the built-in digits and, where they are, on the real clothes."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.images import ImageSpec
from training.datasets import Dataset, load_dataset
from training.environment import library_versions
from training.errors import DatasetError, TrainingError, UsageError
from training.progress import Progress
from training.recipes import Recipe, find_recipe
from training.run import Epoch, Run
from training.trainer import train


def weights(run: Run) -> list[np.ndarray]:
    loaded: list[np.ndarray] = run.load_model().get_weights()
    return loaded


def test_the_digits_reach_their_target(digits: Dataset, tmp_path: Path, silence: Progress) -> None:
    recipe = find_recipe("digits-dense")

    run = train(recipe, digits, seed=0, out=tmp_path / "run", progress=silence)

    assert run.metrics.test_accuracy >= 0.95
    assert recipe.target.reached_by(run.metrics)


def test_the_same_seed_gives_bit_identical_weights(
    short_recipe: Recipe, short_run: Run, digits: Dataset, tmp_path: Path, silence: Progress
) -> None:
    again = train(short_recipe, digits, seed=short_run.config.seed, out=tmp_path / "run", progress=silence)

    for first, second in zip(weights(short_run), weights(again), strict=True):
        assert first.tobytes() == second.tobytes()
    for before, after in zip(short_run.history.epochs, again.history.epochs, strict=True):
        assert before.model_copy(update={"seconds": 0}) == after.model_copy(update={"seconds": 0})


def test_another_seed_gives_other_weights(
    short_recipe: Recipe, short_run: Run, digits: Dataset, tmp_path: Path, silence: Progress
) -> None:
    other = train(short_recipe, digits, seed=2, out=tmp_path / "run", progress=silence)

    assert not np.array_equal(weights(short_run)[0], weights(other)[0])


def test_the_run_records_everything_that_decided_it(short_run: Run, short_recipe: Recipe, digits: Dataset) -> None:
    config = short_run.config

    assert (config.recipe, config.dataset, config.dataset_sha256) == ("digits-dense", "digits", digits.sha256)
    assert (config.labels, config.image) == (digits.labels, short_recipe.image)
    assert (config.epochs, config.batch_size, config.seed) == (3, short_recipe.batch_size, 1)
    assert config.library_versions == library_versions()
    assert {path.name for path in short_run.path.iterdir()} == {
        "config.json",
        "curves.png",
        "history.json",
        "metrics.json",
        "model.keras",
    }


def test_the_recorded_accuracy_is_that_of_the_saved_model_on_the_test_split(short_run: Run, digits: Dataset) -> None:
    answers = short_run.load_model().predict(digits.test.inputs, verbose=0).argmax(axis=1)

    assert (answers == digits.test.targets).mean() == pytest.approx(short_run.metrics.test_accuracy)


def test_an_ordinary_png_of_a_digit_is_recognized(short_run: Run, digits: Dataset, tmp_path: Path) -> None:
    Image.fromarray(digits.test.inputs[0]).save(tmp_path / "digit.png")

    scores = short_run.load_model().predict(np.asarray(Image.open(tmp_path / "digit.png"))[None], verbose=0)

    assert scores.argmax() == digits.test.targets[0]


def test_a_loss_that_is_no_number_stops_the_training_and_leaves_nothing(
    short_recipe: Recipe, digits: Dataset, tmp_path: Path, silence: Progress
) -> None:
    recipe = dataclasses.replace(short_recipe, learning_rate=1e30)

    with pytest.raises(TrainingError, match=r"^the loss became (nan|inf) .*; a smaller learning rate often helps$"):
        train(recipe, digits, seed=0, out=tmp_path / "run", progress=silence)

    assert list(tmp_path.iterdir()) == []


class InterruptedProgress:
    """A person who presses Ctrl-C after the first epoch."""

    @contextlib.contextmanager
    def shown(self, epochs: int, steps: int) -> Iterator[None]:
        yield

    def epoch_begins(self) -> None: ...

    def steps_done(self, steps: int, loss: float, accuracy: float) -> None: ...

    def epoch_ends(self, epoch: Epoch) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_training_leaves_nothing(short_recipe: Recipe, digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(short_recipe, digits, seed=0, out=tmp_path / "run", progress=InterruptedProgress())

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_taken_is_refused_before_anything_is_trained(
    short_recipe: Recipe, short_run: Run, digits: Dataset
) -> None:
    with pytest.raises(UsageError, match="is not empty"):
        train(short_recipe, digits, seed=0, out=short_run.path, progress=InterruptedProgress())


def test_images_of_another_shape_are_refused(
    short_recipe: Recipe, digits: Dataset, tmp_path: Path, silence: Progress
) -> None:
    recipe = dataclasses.replace(short_recipe, image=ImageSpec(28, 28, "grayscale"))

    with pytest.raises(DatasetError, match=r"expects images of shape \(28, 28\), but digits has \(8, 8\)"):
        train(recipe, digits, seed=0, out=tmp_path / "run", progress=silence)


@pytest.mark.parametrize("decay", ["none", "cosine"])
def test_the_learning_rate_ends_at_zero_only_where_it_decays(
    short_recipe: Recipe, digits: Dataset, tmp_path: Path, silence: Progress, decay: str
) -> None:
    recipe = dataclasses.replace(short_recipe, learning_rate_decay=decay)

    run = train(recipe, digits, seed=0, out=tmp_path / "run", progress=silence)

    last_rate = float(run.load_model().optimizer.learning_rate)
    assert run.config.learning_rate_decay == decay
    assert last_rate == pytest.approx(0 if decay == "cosine" else recipe.learning_rate, abs=1e-9)


def test_one_epoch_on_the_real_clothes_is_well_on_its_way(data_dir: Path, tmp_path: Path, silence: Progress) -> None:
    recipe = dataclasses.replace(find_recipe("fashion-mnist-dense"), epochs=1)

    run = train(recipe, load_dataset("fashion-mnist", data_dir), seed=0, out=tmp_path / "run", progress=silence)

    assert run.metrics.test_accuracy >= 0.82
    assert run.metrics.parameters == 101_770
