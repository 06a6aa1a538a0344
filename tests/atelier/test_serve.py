"""`atelier serve` up to the point where the gateway starts: where settings come from, what wrong ones are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer import Typer
from typer.main import get_command
from typer.testing import CliRunner

from atelier.cli import app
from atelier.serve import serve
from serving.settings import ServingSettings

runner = CliRunner()
only_serve = Typer(add_completion=False)
only_serve.command()(serve)
OPTIONS = {option.name: option for option in get_command(only_serve).params}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flags_win_over_environment_over_file_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("atelier.toml").write_text("[serve]\nmax_batch_size = 8\ngrpc_port = 8\nrest_port = 8\n")
    monkeypatch.setenv("ATELIER_GRPC_PORT", "9")
    monkeypatch.setenv("ATELIER_REST_PORT", "9")
    settings = ServingSettings(rest_port=10)
    assert (settings.max_batch_size, settings.grpc_port, settings.rest_port, settings.host) == (8, 9, 10, "0.0.0.0")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[serve\n", "Expected ']'"),
        (b"# caf\xe9\n", "'utf-8' codec can't decode byte 0xe9"),
        (b"serve = 3\n", "expected a table [serve]"),
        (b"serve = [1]\n", "expected a table [serve]"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(content: bytes, reason: str) -> None:
    Path("atelier.toml").write_bytes(content)
    result = runner.invoke(app, ["serve"])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"atelier: atelier.toml cannot be used: {reason}")
    assert result.stderr.count("\n") == 1


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


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (
            ("--tfserving-address", "somewhere", "--backend", "tfserving"),
            "setting tfserving_addresses: expected HOST:PORT or [IPV6]:PORT, received 'somewhere'",
        ),
        (("--allowed-batch-sizes", "8,many"), "setting allowed_batch_sizes: Input should be a valid integer"),
    ],
)
def test_what_is_wrong_in_a_list_is_said_of_its_setting(flags: tuple[str, ...], reason: str) -> None:
    result = runner.invoke(app, ["serve", *flags])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"atelier: {reason}")


def test_a_folder_that_is_not_there_is_wrong_use() -> None:
    result = runner.invoke(app, ["serve"])
    assert (result.exit_code, result.stderr) == (
        2,
        "atelier: models folder: expected an existing folder, received models\n",
    )


SETTINGS = ServingSettings.model_fields.keys() - {"admin_token"}
"""Those with a flag: a token in one would be seen in the list of processes."""


def test_a_token_that_is_too_short_is_refused_without_showing_it() -> None:
    result = runner.invoke(app, ["serve"], env={"ATELIER_ADMIN_TOKEN": "easy-to-guess"})
    assert (result.exit_code, result.stderr) == (
        2,
        "atelier: setting admin_token: expected at least 16 characters, received fewer\n",
    )


def test_every_setting_has_a_flag_and_every_flag_a_setting() -> None:
    assert OPTIONS.keys() - {"as_json", "help"} == SETTINGS


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_the_default_that_is_shown_is_the_settings(name: str) -> None:
    default = ServingSettings.model_fields[name].default
    assert OPTIONS[name].show_default == ("none" if default in {(), None, ""} else str(default))


def test_the_help_shows_defaults_and_where_else_settings_come_from() -> None:
    shown = runner.invoke(app, ["serve", "--help"], env={"COLUMNS": "200"}).stdout
    assert "[default: (8500)]" in shown
    assert "Settings also come from ATELIER_… variables and [serve] in atelier.toml." in shown


def test_the_flags_that_the_guide_gives_for_tensorflow_servings_are_there() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")
    section = guide.split("### Flags of `tensorflow_model_server`")[1].split("\n#")[0]
    rows = [row.split("|") for row in section.splitlines() if row.startswith("| `--")]
    ours = {flag for row in rows for flag in re.findall(r"--[a-z-]+", row[2])}
    known = {name for option in OPTIONS.values() for name in option.opts}
    assert len(rows) > 10
    assert ours - known == set()
