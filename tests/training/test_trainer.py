"""Training for real, on the built-in digits, the course's temperatures and, where they are, the real clothes."""

from __future__ import annotations

import dataclasses
import html.parser
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from tests.support.trainings import Watching, weights, without_times
from training.datasets import Dataset, Split, load_dataset
from training.environment import library_versions
from training.errors import DatasetError, RunError, TrainingError, UsageError
from training.progress import Progress
from training.recipes import Recipe, find_recipe
from training.run import Run
from training.trainer import train


def test_the_digits_reach_their_target(digits: Dataset, tmp_path: Path, silence: Progress) -> None:
    recipe = find_recipe("digits-dense")

    run = train(recipe, digits, out=tmp_path / "run", progress=silence)

    assert run.metrics.value >= 0.95
    assert recipe.target.reached_by(run.metrics)


def test_one_neuron_learns_the_course_s_temperatures(tmp_path: Path, silence: Progress) -> None:
    run = train(find_recipe("celsius"), load_dataset("celsius"), out=tmp_path / "run", progress=silence)

    model = run.load_model()
    (kernel,), (bias,) = model.layers[-1].get_weights()
    assert kernel == pytest.approx(1.8, abs=0.05)
    assert bias == pytest.approx(32, abs=1)
    assert float(model(np.array([[100.0]], np.float32))[0, 0]) == pytest.approx(212, abs=2)
    assert (run.metrics.metric, run.metrics.evaluated_on, run.metrics.examples) == ("mean_absolute_error", "test", 8)
    assert len(run.history.epochs) == 500
    assert run.history.epochs[-1].validation_loss is None


def test_the_same_seed_gives_bit_identical_weights_and_another_one_others(
    short_recipe: Recipe, short_run: Run, digits: Dataset, tmp_path: Path, silence: Progress
) -> None:
    again = train(short_recipe, digits, out=tmp_path / "again", progress=silence)
    other = train(short_recipe.with_settings({"seed": 2}), digits, out=tmp_path / "other", progress=silence)

    assert weights(again) == weights(short_run)
    assert without_times(again.history) == without_times(short_run.history)
    assert weights(other) != weights(short_run)


def test_the_run_records_everything_that_decided_it(short_run: Run, short_recipe: Recipe, digits: Dataset) -> None:
    config = short_run.config

    assert (config.recipe, config.dataset, config.dataset_sha256) == ("digits-dense", "digits", digits.sha256)
    assert (config.task, config.output, config.metric) == ("classification", "softmax", "accuracy")
    assert (config.labels, config.image) == (digits.labels, short_recipe.image)
    assert config.settings == short_recipe.settings
    assert (config.training.epochs, config.training.seed) == (3, 1)
    assert config.library_versions == library_versions()


def test_the_folder_holds_what_export_and_people_need_and_nothing_of_the_work_on_it(short_run: Run) -> None:
    assert {path.name for path in short_run.path.iterdir()} == {
        "config.json",
        "curves.png",
        "history.json",
        "metrics.json",
        "model.keras",
        "report.html",
    }
    with Image.open(short_run.path / "curves.png") as picture:
        assert picture.width > 1000


def test_the_report_is_one_document_that_needs_nothing_else(short_run: Run) -> None:
    class Links(html.parser.HTMLParser):
        found: list[str]

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found += [value or "" for name, value in attrs if name in {"src", "href"}]

    links = Links()
    links.found = []
    text = (short_run.path / "report.html").read_text(encoding="utf-8")
    links.feed(text)

    assert text.lower().startswith("<!doctype html>")
    assert all(link.startswith(("data:", "#")) for link in links.found)


def test_the_recorded_figures_are_those_of_the_saved_model_on_the_test_split(short_run: Run, digits: Dataset) -> None:
    name, split = digits.evaluation
    scores = short_run.load_model().predict(split.inputs, verbose=0)

    assert (short_run.metrics.evaluated_on, short_run.metrics.examples) == (name, 360)
    assert (scores.argmax(axis=1) == split.targets).mean() == pytest.approx(short_run.metrics.value)
    own = scores[np.arange(len(split)), split.targets]
    assert -np.log(own).mean() == pytest.approx(short_run.metrics.loss, rel=1e-4)


def test_an_ordinary_png_of_a_digit_is_recognized(short_run: Run, digits: Dataset, tmp_path: Path) -> None:
    _, split = digits.evaluation
    Image.fromarray(split.inputs[0]).save(tmp_path / "digit.png")

    scores = short_run.load_model().predict(np.asarray(Image.open(tmp_path / "digit.png"))[None], verbose=0)

    assert scores.argmax() == split.targets[0]


def test_a_data_set_without_a_test_split_is_judged_on_its_validation_split(
    short_recipe: Recipe, few_digits: Dataset, tmp_path: Path, silence: Progress
) -> None:
    dataset = dataclasses.replace(few_digits, test=None, validation=few_digits.evaluation[1])

    run = train(short_recipe, dataset, out=tmp_path / "run", progress=silence)

    assert (run.metrics.evaluated_on, run.metrics.examples) == ("validation", 50)
    assert run.metrics.value == pytest.approx(run.history.epochs[-1].validation_metric)


def test_a_folder_that_is_taken_is_refused_before_anything_is_trained(
    short_recipe: Recipe, short_run: Run, digits: Dataset
) -> None:
    progress = Watching()

    with pytest.raises(UsageError, match="is not empty"):
        train(short_recipe, digits, out=short_run.path, progress=progress)

    assert progress.plan is None


def test_images_of_another_shape_are_refused(
    short_recipe: Recipe, digits: Dataset, tmp_path: Path, silence: Progress
) -> None:
    recipe = short_recipe.with_settings({"image_size": 28})

    with pytest.raises(
        DatasetError, match=r"expects examples of shape \(28, 28\), but digits's training split has \(8"
    ):
        train(recipe, digits, out=tmp_path / "run", progress=silence)

    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_no_number_at_once_names_the_step_and_leaves_nothing(
    short_recipe: Recipe, digits: Dataset, tmp_path: Path, silence: Progress
) -> None:
    recipe = short_recipe.with_settings({"learning_rate": 1e30, "batch_size": 50})

    with pytest.raises(
        TrainingError,
        match=r"^the loss became (nan|inf) in epoch 1, at step [23]; a smaller learning rate often helps$",
    ):
        train(recipe, digits, out=tmp_path / "run", progress=silence)

    assert list(tmp_path.iterdir()) == []


def breaks_at_last(dataset: Dataset, bad: float) -> Dataset:
    """Temperatures of which one becomes `bad`: training meets it at some step of every epoch."""
    targets = dataset.train.targets.copy()
    targets[3] = bad
    return dataclasses.replace(dataset, train=Split(dataset.train.inputs, targets))


def test_the_step_that_is_named_is_the_one_that_met_the_bad_example(tmp_path: Path) -> None:
    from training.pipeline import Share, training_batches

    recipe = find_recipe("celsius").with_settings({"epochs": 2})
    dataset = breaks_at_last(load_dataset("celsius"), float("nan"))
    batches = training_batches(dataset.train, 1, epochs=range(1), seed=0, augmentation=None, share=Share())
    met = 1 + next(i for i, (_, targets, _) in enumerate(batches) if np.isnan(targets.numpy()).any())

    with pytest.raises(TrainingError, match=rf"^the loss became nan in epoch 1, at step {met};"):
        train(recipe, dataset, out=tmp_path / "run", progress=Watching())


class LastGood(NamedTuple):
    error: str
    model: Path


@pytest.fixture(scope="module")
def last_good(tmp_path_factory: pytest.TempPathFactory) -> LastGood:
    """Steps of the size of the largest float: the loss is infinite soon after the first epoch, which has one step."""
    folder = tmp_path_factory.mktemp("no-number")
    recipe = find_recipe("celsius").with_settings({"epochs": 9, "batch_size": 7, "learning_rate": 1e25})
    with pytest.raises(TrainingError) as raised:
        train(recipe, load_dataset("celsius"), out=folder / "run", progress=Watching())
    return LastGood(str(raised.value), folder / "run.last-good.keras")


def test_the_last_good_weights_are_kept_where_an_epoch_was_finished(last_good: LastGood) -> None:
    import keras

    assert f"; the weights after epoch 1 are kept in {last_good.model}" in last_good.error
    kept = keras.models.load_model(last_good.model).get_weights()
    assert all(np.isfinite(value).all() for value in kept)


def test_nothing_else_is_left_so_that_the_path_is_free_for_another_try(last_good: LastGood) -> None:
    assert list(last_good.model.parent.iterdir()) == [last_good.model]


def test_a_final_loss_that_is_no_number_is_a_failure_too(tmp_path: Path) -> None:
    recipe = find_recipe("celsius").with_settings({"epochs": 1, "batch_size": 7, "learning_rate": 1e25})

    with pytest.raises(TrainingError, match="the trained model's loss on the test examples is infinite or no number"):
        train(recipe, load_dataset("celsius"), out=tmp_path / "run", progress=Watching())

    assert not (tmp_path / "run").exists()


def test_a_disk_that_is_too_full_is_said_before_the_first_epoch(
    short_recipe: Recipe, few_digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    progress = Watching()

    with pytest.raises(RunError, match=r"^the run needs up to 11 MB on disk, but only 1 MB are free$"):
        train(short_recipe, few_digits, out=tmp_path / "run", progress=progress)

    assert progress.plan is None
    assert list(tmp_path.iterdir()) == []


def test_one_epoch_on_the_real_clothes_is_well_on_its_way(data_dir: Path, tmp_path: Path, silence: Progress) -> None:
    recipe = find_recipe("fashion-mnist-dense").with_settings({"epochs": 1})

    run = train(recipe, load_dataset("fashion-mnist"), out=tmp_path / "run", progress=silence)

    assert run.metrics.value >= 0.82
    assert run.metrics.parameters == 101_770
