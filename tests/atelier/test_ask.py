"""`atelier predict` and `atelier models` against a gateway process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from atelier.cli import app
from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway

runner = CliRunner()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "1", scale=1 / 255)
    with running_gateway(models) as running:
        yield running


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    Image.fromarray(np.uint8([[255, 0], [0, 51]])).save(path)
    return path


def test_predict_prints_labels_with_probabilities(gateway: RunningGateway, image: Path) -> None:
    result = runner.invoke(app, ["predict", str(image), "--url", gateway.rest_url], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()[1:]]
    assert lines == [[str(image), "one", "100.0%", "brightness", "version", "1"], ["zero", "30.0%"], ["two", "20.0%"]]


def test_predict_in_json_holds_the_gateways_answer(gateway: RunningGateway, image: Path) -> None:
    result = runner.invoke(app, ["predict", str(image), "--url", gateway.rest_url, "--top-k", "1", "--json"])
    (answer,) = json.loads(result.stdout)
    assert answer["image"] == str(image)
    assert answer["model_spec"] == {"name": "brightness", "version": "1"}
    assert [found["label"] for found in answer["classes"]] == ["one"]


def test_one_bad_image_fails_and_the_others_are_answered(gateway: RunningGateway, image: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    result = runner.invoke(app, ["predict", str(bad), str(image), "--url", gateway.rest_url], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert str(image) in result.stdout
    assert result.stderr.startswith(f"atelier: {bad}: not an image: expected PNG")


def test_a_model_that_is_not_served_is_said(gateway: RunningGateway, image: Path) -> None:
    result = runner.invoke(app, ["predict", str(image), "--url", gateway.rest_url, "--model", "other"])
    assert result.exit_code == 1
    assert result.stderr == f"atelier: {image}: Servable not found for request: Latest(other)\n"


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    result = runner.invoke(app, ["predict", str(tmp_path / "none.png")])
    assert (result.exit_code, "it does not exist" in result.stderr) == (2, True)


def test_without_a_gateway_the_way_to_one_is_said(image: Path) -> None:
    result = runner.invoke(app, ["predict", str(image), "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 1
    assert result.stderr.startswith("atelier: no gateway answers at http://127.0.0.1:9")


def test_something_else_that_answers_is_no_gateway(gateway: RunningGateway) -> None:
    result = runner.invoke(app, ["models", "--url", f"{gateway.rest_url}/metrics?"])
    assert result.exit_code == 1
    assert "is no Atelier gateway" in result.stderr or "Not found" in result.stderr


def test_models_lists_versions_with_their_states(gateway: RunningGateway) -> None:
    result = runner.invoke(app, ["models", "--url", gateway.rest_url])
    assert result.stdout.splitlines()[1].split() == ["brightness", "1", "AVAILABLE"]
    listed = json.loads(runner.invoke(app, ["models", "--url", gateway.rest_url, "--json"]).stdout)
    assert [model["name"] for model in listed] == ["brightness"]


@pytest.mark.parametrize(
    ("command", "defaults"),
    [
        ("train", ["0"]),
        ("recipes", []),
        ("export", ["(the run's data set)", "(the next free one)", "($ATELIER_DATA, Keras' cache)"]),
        ("inspect", []),
        ("verify", []),
        ("serve", ["(models)", "(8500)", "(64)", "(4096)"]),
        ("predict", ["http://localhost:8501", "3", "30.0"]),
        ("models", ["http://localhost:8501"]),
        ("demo", ["demo-output", "12", "0"]),
    ],
)
def test_every_command_explains_itself_and_shows_its_defaults(command: str, defaults: list[str]) -> None:
    result = runner.invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "Usage: " in result.stdout
    for default in defaults:
        assert f"[default: {default}]" in result.stdout


def test_without_a_command_the_commands_are_listed() -> None:
    result = runner.invoke(app, [])
    assert "serve" in result.output
