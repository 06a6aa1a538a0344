"""`atelier train` and `atelier recipes`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from atelier.train import recipes, train
from training.recipes import RECIPES
from training.run import read_run


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(train)
    app.command()(recipes)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def test_train_says_where_the_data_is_from_how_it_goes_and_what_came_of_it(tmp_path: Path) -> None:
    out = tmp_path / "run"

    result = run("train", "digits-dense", "--epochs", 12, "--batch-size", 16, "--seed", 3, "--out", out)

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "digits-dense: 1,437 images for training, 360 for the test, from scikit-learn's built-in digits"
    assert [line.split("  ")[0] for line in lines[1:13]] == [f"epoch {number}/12" for number in range(1, 13)]
    assert lines[13].startswith("test accuracy 0.9")
    assert "(target 0.950 reached)" in lines[13]
    assert lines[14] == f"run folder: {out}"
    config = read_run(out).config
    assert (config.epochs, config.batch_size, config.seed) == (12, 16, 3)


def test_a_missed_target_is_said_but_is_no_error(tmp_path: Path) -> None:
    result = run("train", "digits-dense", "--epochs", 1, "--learning-rate", 1e-6, "--out", tmp_path / "run")

    assert result.exit_code == 0, result.output
    assert "(target 0.950 missed)" in result.stdout


def test_json_is_all_that_standard_output_gets(tmp_path: Path) -> None:
    result = run("train", "digits-dense", "--epochs", 1, "--out", tmp_path / "run", "--json")

    answer = json.loads(result.stdout)
    assert answer["run"] == str(tmp_path / "run")
    assert answer["recipe"] == "digits-dense"
    assert answer["metrics"] == read_run(tmp_path / "run").metrics.model_dump()
    assert answer["target"] == {"test_accuracy": 0.95}
    assert answer["target_reached"] is False
    assert "epoch 1/1" in result.stderr


def test_the_default_folder_is_below_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    result = run("train", "digits-dense", "--epochs", 1)

    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("digits-dense-")
    assert f"run folder: runs/{folder.name}" in result.stdout


def test_an_unknown_recipe_is_wrong_use_and_the_known_ones_are_listed() -> None:
    result = run("train", "lenet")

    assert result.exit_code == 2
    assert result.stderr == f"atelier: there is no recipe 'lenet'; known: {', '.join(RECIPES)}\n"


@pytest.mark.parametrize(
    "flags",
    [
        ("--epochs", 0),
        ("--epochs", 10**23),
        ("--batch-size", -1),
        ("--batch-size", 10**21),
        ("--learning-rate", 0),
        ("--seed", -1),
        ("--seed", 99999999999),
    ],
)
def test_impossible_settings_are_wrong_use(flags: tuple[str, int], tmp_path: Path) -> None:
    assert run("train", "digits-dense", "--out", tmp_path / "run", *flags).exit_code == 2


def test_a_folder_that_is_taken_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()

    result = run("train", "digits-dense", "--out", tmp_path)

    assert result.exit_code == 2
    assert "is not empty; a run is never overwritten" in result.stderr


def test_a_data_folder_without_the_data_is_wrong_use(tmp_path: Path) -> None:
    result = run("train", "fashion-mnist-dense", "--data", tmp_path, "--out", tmp_path / "run")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"atelier: fashion-mnist is not in {tmp_path}: expected train-images-idx3-ubyte.gz")
    assert result.stderr.count("\n") == 1


def test_a_folders_name_is_printed_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "[bold]x[" / "red]"

    result = run("train", "digits-dense", "--epochs", 1, "--out", out)

    assert result.exit_code == 0, result.output
    assert f"run folder: {out}\n" in result.stdout


def test_damaged_data_is_a_failure_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "fashion-mnist").mkdir()
    (tmp_path / "fashion-mnist" / "train-images-idx3-ubyte.gz").touch()

    result = run("train", "fashion-mnist-dense", "--data", tmp_path, "--out", tmp_path / "run")

    assert result.exit_code == 1
    assert result.stderr.startswith("atelier: fashion-mnist in ")
    assert "incomplete" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_ends_with_one_sentence_and_130_and_leaves_nothing(stop: signal.Signals, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "atelier",
        "train",
        "digits-dense",
        "--epochs",
        "100000",
        "--out",
        tmp_path / "run",
    ]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            assert process.stdout.readline().startswith("epoch 1/100000")
            process.send_signal(stop)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()

    assert process.returncode == 130
    assert errors == "atelier: interrupted; no run folder was left behind\n"
    assert list(tmp_path.iterdir()) == []


def test_recipes_are_listed_in_a_table() -> None:
    result = run("recipes")

    assert result.exit_code == 0
    for name in RECIPES:
        assert name in result.stdout
    assert "≥ 90.5%" in result.stdout


def test_recipes_are_listed_as_json() -> None:
    listed = json.loads(run("recipes", "--json").stdout)

    assert [recipe["name"] for recipe in listed] == list(RECIPES)
    assert listed[0]["image"] == {"height": 28, "width": 28, "colour": "grayscale", "resize": "bilinear"}
