"""`atelier train`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from atelier.cli import app
from tests.support.cli import COMMAND
from tests.support.image_files import plain, write_tree
from training.checkpoint import CHECKPOINT, Checkpoint, read_checkpoint
from training.recipes import RECIPES
from training.run import read_config, read_run
from training.run_folder import partial_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def test_train_says_where_the_data_is_from_how_it_goes_and_what_came_of_it(tmp_path: Path) -> None:
    out = tmp_path / "run"

    result = run(
        "train", "digits-dense", "--epochs", 12, "--batch-size", 16, "--seed", 3, "--set", "zoom=0.3", "--out", out
    )

    assert result.exit_code == 0, result.output
    assert result.stderr == "zoom has no effect: augment is false\n"
    lines = result.stdout.splitlines()
    assert lines[0] == "digits-dense: 1,437 training, 360 test images, from scikit-learn's built-in digits"
    assert [line.split("  ")[0] for line in lines[1:13]] == [f"epoch {number}/12" for number in range(1, 13)]
    assert lines[13].startswith("test accuracy 0.9")
    assert "(target accuracy ≥ 0.950 reached)" in lines[13]
    assert lines[14:] == [f"run folder: {out}", f"report: {out / 'report.html'}"]
    training = read_run(out).config.training
    assert (training.epochs, training.batch_size, training.seed) == (12, 16, 3)


def test_every_option_is_a_setting_and_json_is_all_that_standard_output_gets(tmp_path: Path) -> None:
    out = tmp_path / "[bold]x[" / "red] y"
    options = {
        "--layers": "16,8",
        "--dropout": 0.1,
        "--epochs": 3,
        "--batch-size": 64,
        "--learning-rate": 0.002,
        "--validation-split": 0.2,
        "--stop-at": "val_loss=50",
        "--early-stopping": 2,
        "--seed": 5,
    }
    flags = [part for pair in options.items() for part in pair]

    result = run(
        *("train", "digits-dense", *flags, "--no-normalize", "--augment", "--set", "shift=0.05", "--set"),
        *("learning-rate-schedule=cosine", "--out", out, "--tensorboard", "--json"),
    )

    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    finished = read_run(out)
    assert answer == {
        "run": str(out),
        "recipe": "digits-dense",
        "metrics": finished.metrics.model_dump(),
        "target": {"accuracy": 0.95, "loss": None, "mean_absolute_error": None},
        "target_reached": False,
        "stopped_early": "epoch 1 reached validation_loss=50",
    }
    assert "epoch 1/3" in result.stderr
    assert "epoch 1 reached validation_loss=50: validation_loss is " in result.stderr
    expected = {
        "layers": [16, 8],
        "dropout": 0.1,
        "normalize": False,
        "augment": True,
        "epochs": 3,
        "batch_size": 64,
        "learning_rate": 0.002,
        "learning_rate_schedule": "cosine",
        "validation_split": 0.2,
        "stop_at": "validation_loss=50",
        "early_stopping": 2,
        "seed": 5,
        "shift": 0.05,
    }
    assert finished.config.settings == RECIPES["digits-dense"].settings | expected
    assert len(list((out / "tensorboard").iterdir())) == 1


def test_a_regression_is_trained_on_numbers_below_runs_and_a_missed_target_is_said_but_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = run("train", "celsius-deep", "--units", 2, "--epochs", 2)

    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "runs").iterdir()
    lines = result.stdout.splitlines()
    assert lines[0] == "celsius-deep: 7 training, 8 test numbers, from the course's table"
    assert lines[3].startswith("test mean absolute error ")
    assert "(target mean absolute error ≤ 2 missed)" in lines[3]
    assert lines[4] == f"run folder: runs/{folder.name}"
    assert folder.name.startswith("celsius-deep-")
    assert read_run(folder).config.settings["layers"] == [2]


def test_a_folder_of_one_s_own_images_is_trained_on(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    shades = {"dark": 40, "light": 210}
    write_tree(
        tmp_path / "own",
        {
            f"{name}/{number}.png": plain(int(shade + random.integers(-30, 30)), *random.integers(5, 60, 2))
            for name, shade in shades.items()
            for number in range(12)
        },
    )
    Image.new("RGB", (9, 9), "black").save(tmp_path / "own" / "dark" / "photo.jpg")
    (tmp_path / "own" / "light" / "broken.png").touch()
    command = ("train", "folder", "--data", tmp_path / "own", "--set", "image_size=32", "--epochs", 2)

    result = run(*command, "--out", tmp_path / "run")
    refused = run(*command, "--out", tmp_path / "other", "--strict")

    assert result.exit_code == 0, result.output
    assert "broken.png" in result.stderr
    assert "target" not in result.stdout
    finished = read_run(tmp_path / "run")
    assert finished.config.labels == ("dark", "light")
    assert finished.config.data_dir == str(tmp_path / "own")
    assert (refused.exit_code, "broken.png" in refused.stderr) == (1, True)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lenet"], f"there is no recipe 'lenet'; known: {', '.join(RECIPES)}"),
        (["digits-dense", "--learning-rate", "0"], "learning_rate: expected more than 0, received 0.0"),
        (["digits-dense", "--dropout", "1"], "dropout: expected less than 1, received 1.0"),
        (["digits-dense", "--layers", "5,x"], "layers: expected a whole number for each, received '5,x'"),
        (
            ["digits-dense", "--units", "5", "--layers", "5"],
            "units is short for layers with one layer: expected one of",
        ),
        (["digits-dense", "--set", "epochs=0"], "epochs: expected at least 1, received '0'"),
        (["digits-dense", "--set", "epochs"], "--set: expected KEY=VALUE, received 'epochs'"),
        (["digits-dense", "--set", "=3"], "--set: expected KEY=VALUE, received '=3'"),
        (["digits-dense", "--set", "epochs=3", "--epochs", "2"], "--set: epochs is given twice"),
        (
            ["digits-dense", "--set", "momentum=3"],
            "recipe digits-dense has no setting 'momentum'; known: epochs, batch_",
        ),
        (["celsius", "--augment"], "recipe celsius has no setting 'augment'; known: epochs, "),
        (["digits-dense", "--stop-at", "fun=1"], "stop_at: expected a goal like accuracy=0.95 of accuracy, "),
        (
            ["digits-dense", "--stop-at", "mean_absolute_error=1"],
            "stop_at: expected one of loss, accuracy, validation_lo",
        ),
        (
            ["digits-dense", "--stop-at", "val_loss=1", "--validation-split", "0"],
            "stop_at: expected one of loss, accuracy, which this training has, received validation_loss=1",
        ),
        (["digits-dense", "--validation-split", "0.0001"], "a validation split of 0.0001 leaves one part of 1437 exam"),
        (["folder"], "--data is missing: data set folder expects a folder with one sub-folder of images"),
        (["digits-dense", "--resume"], "there is no interrupted run of digits-dense in runs/; name one with --out"),
        (["digits-dense", "--resume", "--out", "a"], "there is no interrupted run to resume at a"),
        (["digits-dense", "--out", "taken"], "taken is not empty; a run is never overwritten, name another folder"),
        (["digits-dense", "--out", "taken/file"], "taken/file is a file; expected a folder for the run"),
        (["digits-dense", "--out", "."], "expected a name for the run folder, received '.'"),
    ],
)
def test_wrong_use_is_said_in_one_sentence_and_leaves_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path, {"taken/file": b""})

    result = run("train", *arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"atelier: {message}")
    assert result.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.rglob("*")} - {"runs"} == {"taken", "file"}


@pytest.mark.parametrize(
    "flags",
    [("--epochs", 0), ("--epochs", 10**23), ("--batch-size", -1), ("--seed", -1), ("--seed", 2**32), ("--units", 0)],
)
def test_values_that_an_option_cannot_have_are_wrong_use(flags: tuple[str, int], tmp_path: Path) -> None:
    assert run("train", "digits-dense", "--out", tmp_path / "run", *flags).exit_code == 2


def test_a_data_folder_without_the_data_is_wrong_use(tmp_path: Path) -> None:
    result = run("train", "fashion-mnist-dense", "--data", tmp_path, "--out", tmp_path / "run")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"atelier: fashion-mnist is not in {tmp_path}: expected train-images-idx3-ubyte.gz")
    assert result.stderr.count("\n") == 1


def test_damaged_data_is_a_failure_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "fashion-mnist").mkdir()
    (tmp_path / "fashion-mnist" / "train-images-idx3-ubyte.gz").touch()

    result = run("train", "fashion-mnist-dense", "--data", tmp_path, "--out", tmp_path / "run")

    assert result.exit_code == 1
    assert result.stderr.startswith("atelier: fashion-mnist in ")
    assert "incomplete" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_loss_that_is_no_number_is_a_failure_in_one_sentence(tmp_path: Path) -> None:
    result = run("train", "digits-dense", "--learning-rate", 1e30, "--out", tmp_path / "run")

    assert result.exit_code == 1
    assert "atelier: the loss became " in result.stderr
    assert "in epoch 1, at step " in result.stderr
    assert list(tmp_path.iterdir()) == []


def checkpoint_of(path: Path) -> Checkpoint:
    held = read_checkpoint(partial_path(path))
    assert held is not None
    return held


def test_a_stop_signal_says_how_to_go_on_and_resume_alone_goes_on_with_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [*COMMAND, "train", "digits-dense", "--epochs", "100000", "--set", "batch_size=128"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(map(str, _import_path()))},
    ) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            assert process.stdout.readline().startswith("epoch 1/100000")
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=300)
        finally:
            process.kill()

    (left,) = (tmp_path / "runs").iterdir()
    path = Path("runs") / left.name.removeprefix(".").removesuffix(".partial")
    assert process.returncode == 130
    assert errors == f"atelier: interrupted; go on with: atelier train digits-dense --out {path} --resume\n"
    before = checkpoint_of(path).history.epochs
    assert len(before) >= 1

    older = path.with_name("digits-dense-20200101-000000")
    shutil.copytree(partial_path(path), partial_path(older))
    other_settings = run("train", "digits-dense", "--resume", "--epochs", 5, "--dropout", 0.5)
    other_recipe = run("train", "mnist-dense", "--resume", "--out", path)
    assert other_settings.exit_code == other_recipe.exit_code == 2
    assert other_settings.stderr == (
        "atelier: the interrupted run has epochs 100000, not 5; dropout 0.0, not 0.5: "
        "a resumed run keeps its settings\n"
    )
    assert other_recipe.stderr == f"atelier: the interrupted run at {path} is of recipe digits-dense, not mnist-dense\n"

    _end_after(path, len(before) + 1)
    resumed = run("train", "digits-dense", "--resume", "--set", "batch_size=128")

    assert resumed.exit_code == 0, resumed.output
    finished = read_run(path)
    assert finished.history.epochs[:-1] == before
    assert f"epoch {len(before) + 1}/{len(before) + 1}" in resumed.stdout
    assert (partial_path(older) / CHECKPOINT).is_file()


def _import_path() -> list[Path]:
    import atelier

    return [Path(atelier.__file__).parent.parent]


def _end_after(path: Path, epochs: int) -> None:
    """As if fewer epochs had been asked for, which a constant learning rate does not notice."""
    config = read_config(partial_path(path))
    config.model_copy(update={"settings": config.settings | {"epochs": epochs}}).write(
        partial_path(path) / "config.json"
    )


def test_an_interrupted_run_of_own_images_finds_them_again(tmp_path: Path) -> None:
    own = {f"{name}/{number}.png": plain(shade) for name, shade in (("a", 0), ("b", 255)) for number in range(8)}
    write_tree(tmp_path / "own", own)
    command = ("train", "folder", "--data", tmp_path / "own", "--set", "image_size=16", "--epochs", 1)
    first = run(*command, "--out", tmp_path / "one")
    assert first.exit_code == 0, first.output
    # As a training leaves it that ends between its last epoch and its last file.
    hidden = partial_path(tmp_path / "two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.outcome.write_report", _press_ctrl_c)
        interrupted = run(*command, "--out", tmp_path / "two")
    assert interrupted.exit_code == 130
    assert (hidden / CHECKPOINT).is_file()

    resumed = run("train", "folder", "--out", tmp_path / "two", "--resume")

    assert resumed.exit_code == 0, resumed.output
    assert read_run(tmp_path / "two").metrics.value == read_run(tmp_path / "one").metrics.value


def _press_ctrl_c(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_before_the_first_epoch_is_over_an_interruption_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop.Loop.train", _press_ctrl_c)

    result = run("train", "digits-dense", "--out", tmp_path / "run")

    assert (result.exit_code, result.stderr) == (130, "atelier: interrupted; no run folder was left behind\n")
    assert list(tmp_path.iterdir()) == []


def test_help_says_what_the_numbers_are() -> None:
    shown = run("train", "--help").stdout

    for words in (
        "Passes over the training images",
        "GiB",
        "below 1",
        "keep the best",
    ):
        assert words in shown
    for option in ("--stop-at", "--early-stopping", "--layers", "--no-normalize", "--no-augment", "--set", "--resume"):
        assert option in shown
