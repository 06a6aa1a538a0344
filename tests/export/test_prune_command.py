"""`atelier prune`."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from atelier.prune import prune
from export import removal
from export.location import parse_location
from export.publish import stage
from export.versions import published_versions
from tests.export.publisher import write_bundle
from tests.support import bundles
from tests.support.gateway import RunningGateway, running_gateway

ADDRESS = "memory://prune-command/models"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway elsewhere, which holds version 2 of `clothes`."""
    models = tmp_path_factory.mktemp("models")
    (models / "clothes").mkdir()
    bundles.write_bundle(models / "clothes" / "2")
    with running_gateway(models, poll_interval_s=0) as running:
        yield running


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """The model `clothes` with the versions 1 to 3, of files that fit their manifests."""
    publish(tmp_path, "clothes", 3)
    return tmp_path / "clothes"


def publish(models: Path, name: str, count: int) -> None:
    for _ in range(count):
        with stage(models, name) as staging:
            write_bundle(staging.bundle)
            staging.publish()


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(prune)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def test_what_goes_and_why_the_others_stay_is_shown(model_dir: Path) -> None:
    (model_dir / "labels.json").write_text('{"stable": 1}')
    dry = run(model_dir, "--keep", 1, "--dry-run")
    assert published_versions(model_dir) == [1, 2, 3]
    result = run(model_dir, "--keep", 1)

    assert (dry.exit_code, result.exit_code) == (0, 0), result.output
    assert {line.split()[0] for line in result.stdout.splitlines()[1:]} == {"clothes"}
    rows = [line.split(maxsplit=2)[1:] for line in result.stdout.splitlines()[1:]]
    assert [(version, became.strip()) for version, became in rows] == [
        ("1", "kept     label stable in labels.json"),
        ("2", "removed"),
        ("3", "kept     among the newest"),
    ]
    assert "2        would be removed" in dry.stdout
    assert published_versions(model_dir) == [1, 3]


def test_without_a_number_three_stay(model_dir: Path) -> None:
    publish(model_dir.parent, "clothes", 2)

    answer = json.loads(run(model_dir, "--json").stdout)

    assert answer == {
        "dry_run": False,
        "models": [
            {
                "path": str(model_dir),
                "removed": [1, 2],
                "kept": {str(version): ["among the newest"] for version in (3, 4, 5)},
            }
        ],
    }


def test_all_models_of_a_repository_or_one_of_them(tmp_path: Path) -> None:
    publish(tmp_path, "clothes", 2)
    publish(tmp_path, "hats", 2)
    (tmp_path / "notes").mkdir()
    one = json.loads(run("--models", tmp_path, "--model", "hats", "--keep", 1, "--json").stdout)
    both = json.loads(run("--models", tmp_path, "--keep", 1, "--json").stdout)

    assert [model["removed"] for model in one["models"]] == [[1]]
    assert [(Path(model["path"]).name, model["removed"]) for model in both["models"]] == [
        ("clothes", [1]),
        ("hats", []),
    ]


def test_what_a_gateway_elsewhere_holds_stays(gateway: RunningGateway) -> None:
    publish(parse_location(ADDRESS), "clothes", 4)

    refused = run(f"{ADDRESS}/clothes", "--keep", 1)
    result = run(f"{ADDRESS}/clothes", "--keep", 1, "--url", gateway.rest_url, "--json")
    kept = json.loads(result.stdout)["models"][0]["kept"]
    unserved = run(f"{ADDRESS}/clothes", "--keep", 1, "--unserved")

    assert refused.exit_code == 2
    assert refused.stderr == (
        f"atelier: who serves versions from {ADDRESS}/clothes cannot be seen from here: "
        "name each server with --url, or say --unserved if there is none\n"
    )
    assert kept == {"2": [f"available at {gateway.rest_url}"], "4": ["among the newest"]}
    assert unserved.exit_code == 0
    assert published_versions(parse_location(ADDRESS) / "clothes") == [4]


def test_a_server_that_cannot_tell_ends_the_command_before_anything_is_removed(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    publish(tmp_path, "clothes", 3)
    publish(tmp_path, "hats", 3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        unreachable = run("--models", tmp_path, "--keep", 1, "--url", f"http://127.0.0.1:{silent.getsockname()[1]}")
    unknown = run("--models", tmp_path, "--keep", 1, "--url", gateway.rest_url)

    assert (unreachable.exit_code, unknown.exit_code) == (1, 1)
    assert "no gateway answers at http://127.0.0.1:" in unreachable.stderr
    assert unknown.stderr == (
        f"atelier: the server at {gateway.rest_url} cannot tell which versions of hats it holds: "
        "Could not find any versions of model hats\n"
    )
    assert published_versions(tmp_path / "clothes") == published_versions(tmp_path / "hats") == [1, 2, 3]


def test_where_folders_cannot_be_locked_somebody_has_to_be_asked(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(_: Path) -> int:
        raise removal.CannotTellError

    monkeypatch.setattr("export.prune.lock_version", cannot)
    refused = run(model_dir, "--keep", 1)
    told = run(model_dir, "--keep", 1, "--unserved")

    assert (refused.exit_code, told.exit_code) == (2, 0)
    assert f"who serves versions from {model_dir} cannot be seen from here" in refused.stderr
    assert published_versions(model_dir) == [3]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "prune: expected either MODEL_DIR, or --models with or without --model"),
        (["a", "--models", "b"], "prune: expected either MODEL_DIR, or --models with or without --model"),
        (["a", "--model", "b"], "prune: expected either MODEL_DIR, or --models with or without --model"),
        (["a", "--url", "http://x", "--unserved"], "prune: expected --url or --unserved, received both"),
        (["nowhere"], "nowhere is no model's folder: there is no version in it"),
        (["--models", "nowhere"], "nowhere is no repository: there is no model with a version in it"),
        (["--models", "nowhere", "--model", "../up"], "'../up' is no name for a model"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)

    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"atelier: {sentence}")
