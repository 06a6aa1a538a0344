"""`atelier compare`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from atelier.compare import compare
from tests.support.run_records import metrics, written_run
from training.recipes import find_recipe
from training.run import METRICS

DENSE = find_recipe("mnist-dense")


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(compare)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """A run with 512 units, and a better one with 128."""
    return (
        written_run(tmp_path / "wide", DENSE, metrics(0.9)).path,
        written_run(tmp_path / "narrow", DENSE.with_settings({"units": 128}), metrics(0.92)).path,
    )


def test_a_table_a_verdict_and_what_it_assumes(two: tuple[Path, Path]) -> None:
    result = run(*two)

    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["wide", "narrow"] in rows
    assert ["layers", "512", "128"] in rows
    assert ["accuracy", "0.9000", "0.9200"] in rows
    assert "narrow has 2.00 points more accuracy than wide: larger than chance" in result.stdout
    assert "rather too wide" in result.stdout


def test_json_has_all_of_it(two: tuple[Path, Path]) -> None:
    answer = json.loads(run(*two, "--json").stdout)

    assert answer["runs"] == ["wide", "narrow"]
    assert answer["settings"] == {"layers": [[512], [128]]}
    assert answer["figures"]["accuracy"] == [0.9, 0.92]
    assert len(answer["verdicts"]) == 1


def test_other_data_is_a_warning_in_place_of_a_verdict(two: tuple[Path, Path], tmp_path: Path) -> None:
    other = written_run(tmp_path / "other", DENSE, dataset_sha256="b" * 64).path

    result = run(two[0], other)

    assert result.exit_code == 0
    assert "wide and other saw different data, as its checksums say: their figures cannot be compared." in result.stdout
    assert "rather too wide" not in result.stdout


def test_curves_are_drawn_where_asked(two: tuple[Path, Path], tmp_path: Path) -> None:
    assert run(*two, "--out", tmp_path / "compare.png").exit_code == 0
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_written_is_a_failure_in_one_sentence(two: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(*two, "--out", tmp_path / "none" / "compare.png")

    assert result.exit_code == 1
    assert result.stderr == f"atelier: {tmp_path}/none/compare.png cannot be written: No such file or directory\n"


def test_a_run_that_is_not_there_is_named(two: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(two[0], tmp_path / "none")

    assert result.exit_code == 1
    assert result.stderr == f"atelier: {tmp_path}/none is not a run folder: it does not exist\n"


def test_a_run_that_is_not_finished_is_named(two: tuple[Path, Path]) -> None:
    (two[1] / METRICS).unlink()

    result = run(*two)

    assert result.exit_code == 1
    assert result.stderr == f"atelier: {two[1]} is not a finished run: metrics.json missing\n"


def test_one_run_is_wrong_use(two: tuple[Path, Path]) -> None:
    result = run(two[0])

    assert result.exit_code == 2
    assert result.stderr == "atelier: expected at least two runs to compare, received 1\n"
