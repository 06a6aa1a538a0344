"""`atelier sweep`, with real trainings on the built-in digits."""

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

from atelier.sweep import sweep
from training.run import read_run


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(sweep)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def test_a_grid_of_several_settings_ends_in_a_table_a_sentence_and_a_picture(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    command = (
        "digits-dense",
        "--grid",
        "units=4,32",
        "normalize=true",
        "--set",
        "epochs=2",
        "--set",
        "zoom=0",
        "--out",
        out,
    )

    result = run(*command)

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "digits-dense: 2 points"
    assert "zoom has no effect: augment is false" in lines
    assert "point 2 of 2: units=32" in lines
    assert next(line for line in lines if "← best" in line).split()[0] == "32"
    assert "units 4 → 32: accuracy " in result.stdout
    assert lines[-1] == f"sweep folder: {out}"
    assert {path.name for path in out.iterdir()} == {
        "epochs=2,normalize=true,units=32,zoom=0",
        "epochs=2,normalize=true,units=4,zoom=0",
        "results.csv",
        "sweep.json",
        "sweep.png",
    }
    assert read_run(out / "epochs=2,normalize=true,units=4,zoom=0").config.settings["layers"] == [4]

    again = run(*command)

    assert again.exit_code == 0, again.output
    assert again.stdout.splitlines()[0] == "digits-dense: 2 points; 2 are finished and reused"
    assert "epoch 1" not in again.stdout


def test_a_point_that_fails_has_its_reason_in_the_table_and_1_is_the_exit_status(tmp_path: Path) -> None:
    result = run(
        "digits-dense", "--grid", "learning_rate=1e-3,1e38", "--set", "epochs=1", "--out", tmp_path / "sweep", "--json"
    )

    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert [point["metrics"] is None for point in answer["results"]] == [False, True]
    assert answer["results"][1]["failure"].startswith("the loss became ")
    assert "point 2 of 2: learning_rate=1e+38" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("lenet", "--grid", "units=1"), "there is no recipe 'lenet'"),
        (("digits-dense",), "a sweep needs a grid: expected --grid key=value,value, received none"),
        (("digits-dense", "--grid", "width=1,2"), "recipe digits-dense has no setting 'width'; known: "),
        (("digits-dense", "--grid", "epochs=1,zero"), "epochs: "),
        (("digits-dense", "--grid", "image_size=8,64", "--set", "epochs=0"), "epochs: "),
    ],
)
def test_wrong_use_is_said_before_anything_is_trained(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    result = run(*arguments, "--out", tmp_path / "sweep")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"atelier: {sentence}")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "sweep").exists()


def test_the_recipe_comes_before_the_grid(tmp_path: Path) -> None:
    result = run("--grid", "units=1,2", "epochs=1,2", "digits-dense", "--out", tmp_path / "sweep")

    assert result.exit_code == 2
    assert "expected a recipe's name first, then --grid, received 'epochs=1,2'" in " ".join(result.stderr.split())


def test_data_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    result = run("mnist-dense", "--grid", "units=1,2", "--data", tmp_path, "--out", tmp_path / "sweep")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"atelier: mnist is not in {tmp_path}")
    assert not (tmp_path / "sweep").exists()


def test_a_stop_signal_says_how_to_go_on_and_what_is_finished_stays(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    command = [sys.executable, "-m", "atelier", "sweep", "digits-dense", "--grid", "epochs=1,100000", "--out", str(out)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        try:
            while not process.stdout.readline().startswith("epoch 1/100000"):
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=300)
        finally:
            process.kill()

    assert process.returncode == 130
    assert errors == (f"atelier: interrupted; what is finished is in {out}, and the same command goes on from there\n")
    assert read_run(out / "epochs=1").metrics.examples == 360
