"""Reading run folders: finished ones, and all the others."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.run_records import epoch, written_run
from training.building import build_model
from training.errors import RunError
from training.recipes import find_recipe
from training.run import CONFIG, HISTORY, METRICS, MODEL, Epoch, History, Run, read_config, read_run


@pytest.fixture
def folder(short_run: Run, tmp_path: Path) -> Path:
    """A finished run folder of one's own."""
    return Path(shutil.copytree(short_run.path, tmp_path / "run"))


def test_a_run_folder_is_read_as_it_was_written(short_run: Run) -> None:
    read = read_run(short_run.path)

    assert read == short_run
    assert len(read.history.epochs) == read.config.training.epochs == 3


def test_the_model_is_loaded_ready_to_predict(short_run: Run) -> None:
    model = short_run.load_model()

    assert short_run.config.image is not None
    scores = model(np.zeros((2, *short_run.config.image.shape), np.uint8))

    assert scores.shape == (2, len(short_run.config.labels))


def test_a_folder_that_does_not_exist_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="none is not a run folder: it does not exist"):
        read_run(tmp_path / "none")


def test_a_file_in_place_of_the_folder_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(RunError, match="file is not a run folder: it is a file"):
        read_run(tmp_path / "file")


@pytest.mark.parametrize("name", [CONFIG, HISTORY, METRICS, MODEL])
def test_an_incomplete_folder_is_refused_with_what_is_missing(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(RunError, match=f"run is not a finished run: {name} missing"):
        read_run(folder)


@pytest.mark.parametrize("name", [CONFIG, HISTORY, METRICS])
def test_a_record_that_is_no_json_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text('{"epochs": ')

    with pytest.raises(RunError, match=f"{name} is damaged: the document: Invalid JSON"):
        read_run(folder)


def test_a_record_with_a_wrong_value_is_refused_with_its_place(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"replicas": 0}))

    with pytest.raises(RunError, match=r"config.json is damaged: replicas: Input should be greater than or equal to 1"):
        read_run(folder)


def test_the_settings_alone_are_read_from_an_unfinished_run(folder: Path) -> None:
    (folder / MODEL).unlink()

    assert read_config(folder).recipe == "digits-dense"


def test_a_truncated_model_is_refused(folder: Path) -> None:
    (folder / MODEL).write_bytes((folder / MODEL).read_bytes()[:1000])

    with pytest.raises(RunError, match=r"model.keras is damaged: not a .keras archive"):
        read_run(folder)


def test_a_model_that_keras_cannot_read_is_refused(folder: Path) -> None:
    shutil.make_archive(str(folder / "other"), "zip", folder, CONFIG)
    (folder / "other.zip").rename(folder / MODEL)

    with pytest.raises(RunError, match=r"model.keras cannot be loaded: "):
        read_run(folder).load_model()


def test_the_best_epoch_has_the_lowest_validation_loss_and_is_the_first_of_equals() -> None:
    def judged(validation_loss: float) -> Epoch:
        return Epoch(loss=0, metric=0, validation_loss=validation_loss, validation_metric=0, seconds=0)

    assert History(epochs=tuple(judged(loss) for loss in (0.5, 0.3, 0.4, 0.3))).best == 1


def test_without_validation_the_best_epoch_has_the_lowest_training_loss() -> None:
    assert History(epochs=tuple(epoch(loss, validated=False) for loss in (0.5, 0.3, 0.4))).best == 1


def test_an_epoch_gives_its_figures_by_the_names_of_goals() -> None:
    assert epoch(0.25).figures("accuracy") == {
        "loss": 0.25,
        "accuracy": 0.75,
        "validation_loss": 0.35,
        "validation_accuracy": 0.65,
    }
    assert epoch(0.25, validated=False).figures("mean_absolute_error") == {"loss": 0.25, "mean_absolute_error": 0.75}


def test_a_model_with_one_sigmoid_is_loaded_with_a_probability_for_both_classes(tmp_path: Path) -> None:
    recipe = dataclasses.replace(find_recipe("digits-dense"), output="sigmoid")
    written = written_run(tmp_path / "run", recipe)
    build_model(recipe, ("cat", "dog")).save(written.model_path)

    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    scores = written.load_model()(pixels).numpy()

    assert scores.shape == (3, 2)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)
    second = keras_model(written.model_path)(pixels).numpy()
    np.testing.assert_array_equal(scores[:, 1:], second)


def keras_model(path: Path) -> Any:
    import keras

    return keras.models.load_model(path)
