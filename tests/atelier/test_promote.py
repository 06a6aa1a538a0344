"""`atelier promote`, `rollback` and `traffic`, on a real gateway and on a folder of models."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from atelier.cli import app
from tests.support.bundles import damage, write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.waiting import wait_until

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ATELIER_URL", "ATELIER_ADMIN_TOKEN", "ATELIER_ADMIN_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", **environment})


@contextlib.contextmanager
def serving(tmp_path: Path, versions: int) -> Iterator[RunningGateway]:
    for version in range(1, versions + 1):
        write_bundle(tmp_path / "models" / "clothes" / str(version), scale=version)
    (tmp_path / "token").write_text(TOKEN)
    with running_gateway(tmp_path / "models", admin_token_file=tmp_path / "token") as gateway:
        yield gateway


def labels(tmp_path: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((tmp_path / "models" / "clothes" / "labels.json").read_text())
    return found


def test_a_label_is_moved_and_taken_back_in_a_running_gateway(tmp_path: Path) -> None:
    with serving(tmp_path, 3) as gateway:

        def ask(*arguments: str) -> tuple[int, str]:
            result = run(*arguments, ATELIER_URL=gateway.rest_url, ATELIER_ADMIN_TOKEN=TOKEN)
            return result.exit_code, result.output.strip()

        status, text = ask("promote", "clothes", "stable", "1")
        assert (status, text.partition("; ")[0]) == (1, "atelier: version 1 of clothes is there, but not loaded")
        first = ask("promote", "clothes", "stable", "1", "--wait")
        assert first == (0, "clothes: label stable names version 1, before no version")
        assert ask("promote", "clothes", "stable", "3", "--from", "1")[1].endswith("version 3, before version 1")
        assert ask("promote", "clothes", "stable", "3") == (0, "clothes: label stable names version 3 already")
        assert ask("promote", "clothes", "stable", "3", "--from", "2") == (
            1,
            "atelier: label stable: expected it to name version 2, it names version 3",
        )
        assert ask("promote", "clothes", "stable", "9") == (
            1,
            "atelier: there is no version 9 of clothes; there are: 1, 2, 3",
        )
        assert ask("traffic", "clothes", "stable=95", "3=5", "--shadow", "3", "--share", "0.5")[0] == 0
        assert ask("rollback", "clothes")[1] == (
            "clothes: requests go to the newest version, before to stable=95, 3=5; 50% copied to 3"
        )
        assert ask("rollback", "clothes", "stable")[1] == "clothes: label stable names version 1, before version 3"
        assert labels(tmp_path) == {"stable": 1}
        assert ask("rollback", "clothes", "canary")[1] == ("atelier: label canary: no change is on record to take back")
        assert ask("rollback", "nobody") == (1, "atelier: Could not find any versions of model nobody")


def test_a_version_that_does_not_load_is_said_to_leave_the_label_where_it_was(tmp_path: Path) -> None:
    with serving(tmp_path, 2) as gateway:
        damage(tmp_path / "models" / "clothes" / "1")
        environment = {"ATELIER_URL": gateway.rest_url, "ATELIER_ADMIN_TOKEN_FILE": str(tmp_path / "token")}
        assert run("promote", "clothes", "stable", "2", **environment).exit_code == 0
        result = run("promote", "clothes", "stable", "1", "--wait", **environment)
        assert result.exit_code == 1
        assert (
            "atelier: clothes: label stable waits for version 1, version 2 goes on answering: it could not be loaded: "
            "model.onnx has checksum"
        ) in result.output
        assert "`atelier rollback clothes stable` takes the change back" in result.output


def test_traffic_shows_labels_comparisons_and_changes(tmp_path: Path) -> None:
    with serving(tmp_path, 2) as gateway:
        environment = {"ATELIER_URL": gateway.rest_url, "ATELIER_ADMIN_TOKEN": TOKEN}
        run("promote", "clothes", "stable", "2", **environment)
        shown = run("traffic", "clothes", "stable=1", "--sticky-header", "x-user", **environment).output
        assert shown.startswith("clothes: requests that name no version go to stable=1; sticky by x-user\n")
        lines = [" ".join(line.split()) for line in shown.splitlines()]
        assert "stable 2" in lines
        assert any(
            line.endswith("requests go to stable=1; sticky by x-user, before to the newest version") for line in lines
        )
        document = json.loads(run("traffic", "clothes", "--json", **environment).stdout)
        assert (document["traffic"], [one["action"] for one in document["changes"]]) == (
            {"stable": 1},
            ["traffic", "label"],
        )
        assert run("traffic", "clothes", "--clear", **environment).output.startswith(
            "clothes: requests that name no version go to the newest version\n"
        )


def test_traffic_shows_what_the_shadow_has_found_out(tmp_path: Path) -> None:
    with serving(tmp_path, 2) as gateway:
        environment = {"ATELIER_URL": gateway.rest_url, "ATELIER_ADMIN_TOKEN": TOKEN}
        shown = run("traffic", "clothes", "2=1", "--shadow", "1", "--late", **environment)
        assert shown.output.startswith("clothes: requests that name no version go to 2=1; 100% copied to 1\n")

        def compared() -> bool:
            gateway.rest.post("/v1/models/clothes:predict", json={"instances": [[[10, 20], [30, 40]]]})
            return "the same answer for 100.00% of " in run("traffic", "clothes", **environment).output

        wait_until(compared)
        lines = run("traffic", "clothes", **environment).output.splitlines()
        assert lines[1].startswith("shadow, version 1, beside version 2: ")
        assert lines[1].endswith(" requests compared, 0 failed, 0 dropped")
        assert " rows; mean distance " in lines[2]
        assert lines[3].startswith("  mean time ")


@pytest.mark.parametrize(
    ("arguments", "environment", "text"),
    [
        (("promote", "clothes", "stable", "1"), {}, "the admin API wants a token: set ATELIER_ADMIN_TOKEN, or name"),
        (("rollback", "clothes", "--token-file", "/nowhere"), {}, "/nowhere: expected a file with the token"),
        (("rollback", "clothes", "--from", "1"), {}, "rollback: expected a LABEL with --from, received none"),
        (("traffic", "clothes", "stable"), {}, "expected TARGET=WEIGHT such as stable=95, received 'stable'"),
        (("traffic", "clothes", "a=1", "--clear"), {}, "expected --clear, or weights, a header or a shadow"),
        (("traffic", "clothes", "--share", "0.1"), {}, "expected a TARGET in --shadow with --share"),
        (("rollback", "m", "--models", "/nowhere"), {}, "/nowhere/m is no model's folder"),
        (("promote", "m", "a b", "1", "--models", "/"), {}, "label: expected letters, digits"),
        (
            ("rollback", "m", "--url", "localhost:8501"),
            {"ATELIER_ADMIN_TOKEN": TOKEN},
            "--url: expected an address such as",
        ),
    ],
)
def test_wrong_use_is_named(arguments: tuple[str, ...], environment: dict[str, str], text: str) -> None:
    result = run(*arguments, **environment)
    assert (result.exit_code, text in result.output) == (2, True), result.output


def test_nobody_and_somebody_else_at_the_address_are_told_apart(gateway_without_token: RunningGateway) -> None:
    environment: dict[str, Any] = {"ATELIER_ADMIN_TOKEN": TOKEN}
    refused = run("rollback", "m", "--url", "http://127.0.0.1:9", **environment)
    assert (refused.exit_code, "no gateway answers at http://127.0.0.1:9" in refused.output) == (1, True)
    off = run("rollback", "m", "--url", gateway_without_token.rest_url, **environment)
    assert (off.exit_code, "atelier: the admin API is off" in off.output) == (1, True)


@pytest.fixture
def gateway_without_token(tmp_path: Path) -> Iterator[RunningGateway]:
    write_bundle(tmp_path / "clothes" / "1")
    with running_gateway(tmp_path) as gateway:
        yield gateway


def test_a_wrong_token_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, 1) as gateway:
        result = run("rollback", "clothes", ATELIER_URL=gateway.rest_url, ATELIER_ADMIN_TOKEN=f"{TOKEN}x")
        assert (result.exit_code, result.output) == (
            1,
            f"atelier: the gateway at {gateway.rest_url} did not take the token\n",
        )


def test_a_folder_of_models_needs_no_gateway(tmp_path: Path) -> None:
    for version in (1, 2):
        (tmp_path / "models" / "clothes" / str(version)).mkdir(parents=True)
    there = ("--models", str(tmp_path / "models"))
    moved = run("promote", "clothes", "stable", "1", *there)
    assert (moved.exit_code, moved.output) == (0, "clothes: label stable names version 1, before no version\n")
    assert run("promote", "clothes", "stable", "2", "--json", *there).exit_code == 0
    assert labels(tmp_path) == {"stable": 2}
    gone = run("promote", "clothes", "stable", "3", *there)
    assert (gone.exit_code, gone.output) == (1, "atelier: there is no version 3 of clothes; there are: 1, 2\n")
    assert run("promote", "clothes", "canary", "3", "--force", *there).exit_code == 0
    assert labels(tmp_path) == {"stable": 2, "canary": 3}
    back = run("rollback", "clothes", "stable", *there)
    assert (back.exit_code, back.output) == (0, "clothes: label stable names version 1, before version 2\n")
    (tmp_path / "models" / "clothes" / "labels.json").write_text("{")
    broken = run("rollback", "clothes", *there)
    assert (broken.exit_code, broken.output.startswith("atelier: labels.json is not valid")) == (1, True)
