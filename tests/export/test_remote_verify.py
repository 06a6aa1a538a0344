"""`atelier verify` of what lies in a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from atelier.inspect import inspect, verify
from export.location import parse_location
from tests.support.bundles import write_bundle

ADDRESS = "memory://remote-verify/models/clothes"


def run(*arguments: str) -> Result:
    app = typer.Typer()
    for command in (inspect, verify):
        app.command()(command)
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The model's address, with the versions 1 and 2."""
    location = parse_location(ADDRESS)
    for number in ("1", "2"):
        version_dir = tmp_path / "clothes" / number
        version_dir.parent.mkdir(exist_ok=True)
        for file in write_bundle(version_dir).iterdir():
            (location / number / file.name).write_bytes(file.read_bytes())
    return location


def test_verify_reads_every_file_in_the_store(model: Path) -> None:
    result = run("verify", ADDRESS)

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].startswith(f"{ADDRESS}/1: 1 files, ")
    assert f"{ADDRESS}/2: " in result.stdout


def test_verify_names_the_version_in_the_store_that_changed(model: Path) -> None:
    changed = model / "2" / "model.onnx"
    content = bytearray(changed.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(bytes(content))

    result = run("verify", ADDRESS, "--json")

    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [version["intact"] for version in answer["versions"]] == [True, False]
    assert result.stderr.startswith(f"atelier: {ADDRESS}/2: model.onnx has checksum ")


def test_a_deep_check_of_a_version_in_the_store_runs_it_here(model: Path) -> None:
    result = run("verify", ADDRESS, "--deep")

    assert result.exit_code == 0, result.output
    assert [line.endswith(", as published, answered by onnx") for line in result.stdout.splitlines()] == [True, True]

    (model / "2" / "model.onnx").unlink()
    result = run("verify", f"{ADDRESS}/2", "--deep")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"atelier: {ADDRESS}/2: model.onnx ")


def test_inspect_shows_the_newest_version_in_the_store(model: Path) -> None:
    answer = json.loads(run("inspect", ADDRESS, "--json").stdout)

    assert (answer["path"], answer["labels"]) == (f"{ADDRESS}/2", ["zero", "one", "two"])


def test_an_address_where_nothing_is_is_wrong_use() -> None:
    result = run("verify", "memory://remote-verify/nothing")

    assert result.exit_code == 2
    assert result.stderr == (
        "atelier: memory://remote-verify/nothing is neither a version nor a model's folder of versions: "
        "there is no such folder\n"
    )
