"""`atelier demo` up to the point where it trains."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from atelier.cli import app

runner = CliRunner()


def test_a_data_folder_without_the_data_is_wrong_use(tmp_path: Path) -> None:
    result = runner.invoke(app, ["demo", "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "demo")])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"atelier: fashion-mnist: expected a folder, received {tmp_path / 'nowhere'}, w")
    assert not (tmp_path / "demo").exists()


def test_a_variable_that_names_no_folder_is_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_DATA", "/nowhere")
    result = runner.invoke(app, ["demo", "--out", str(tmp_path / "demo")])
    assert (result.exit_code, result.stderr) == (2, "atelier: $ATELIER_DATA: expected a folder, received /nowhere\n")


def test_a_seed_that_training_would_refuse_is_refused_at_once() -> None:
    assert runner.invoke(app, ["demo", "--seed", "99999999999"]).exit_code == 2
