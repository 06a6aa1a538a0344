"""`atelier serve` up to the point where the gateway starts: where settings come from, what wrong ones are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from atelier.cli import app
from serving.settings import ServingSettings

runner = CliRunner()


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flags_win_over_environment_over_file_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("atelier.toml").write_text("[serve]\nmax_batch_size = 8\ngrpc_port = 8\nrest_port = 8\n")
    monkeypatch.setenv("ATELIER_GRPC_PORT", "9")
    monkeypatch.setenv("ATELIER_REST_PORT", "9")
    settings = ServingSettings(rest_port=10)
    assert (settings.max_batch_size, settings.grpc_port, settings.rest_port, settings.host) == (8, 9, 10, "0.0.0.0")


def test_a_file_that_is_not_toml_is_named() -> None:
    Path("atelier.toml").write_text("[serve\n")
    result = runner.invoke(app, ["serve"])
    assert result.exit_code == 2
    assert result.stderr.startswith("atelier: atelier.toml is not valid TOML: ")


def test_an_unknown_setting_in_the_file_is_named() -> None:
    Path("atelier.toml").write_text("[serve]\nbatch_size = 8\n")
    result = runner.invoke(app, ["serve"])
    assert result.exit_code == 2
    assert result.stderr == "atelier: setting batch_size: Extra inputs are not permitted, received 8\n"


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_GRPC_PORT", "many")
    result = runner.invoke(app, ["serve"])
    assert result.exit_code == 2
    assert result.stderr.startswith("atelier: setting grpc_port: Input should be a valid integer")


def test_a_folder_that_is_not_there_is_wrong_use() -> None:
    result = runner.invoke(app, ["serve"])
    assert (result.exit_code, result.stderr) == (
        2,
        "atelier: models folder: expected an existing folder, received models\n",
    )
