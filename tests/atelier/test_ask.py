"""`atelier predict` and `atelier models` against a gateway process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from atelier.cli import app
from tests.support.bundles import damage, write_bundle, write_regression
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.onnx_models import write_identity_model, write_node_model
from tests.support.stranger import stranger

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
    assert result.stderr.startswith(
        "atelier: other: Servable not found for request: Latest(other); --model may be one of: "
    )
    assert "brightness" in result.stderr


@pytest.mark.parametrize(
    ("path", "reason"),
    [("none.png", "it does not exist"), (".", "received a folder"), ("/dev/null", "it is no regular file")],
)
def test_what_is_no_file_is_wrong_use(path: str, reason: str, tmp_path: Path) -> None:
    result = runner.invoke(app, ["predict", str(tmp_path / path)])
    assert result.exit_code == 2
    assert result.stderr == f"atelier: {tmp_path / path}: expected an image file, {reason}\n"


def test_without_a_gateway_the_way_to_one_is_said(image: Path) -> None:
    result = runner.invoke(app, ["predict", str(image), "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 1
    assert result.stderr.startswith("atelier: no gateway answers at http://127.0.0.1:9")


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    "body", [b"<html>It works!</html>", b"{}", b"[]", b'{"models": 3, "error": {}}', b'{"models": [{"name": "x"}]}']
)
@pytest.mark.parametrize("command", [["models"], ["predict", "IMAGE"], ["predict", "IMAGE", "--model", "x"]])
def test_something_else_that_answers_is_no_gateway(command: list[str], body: bytes, status: int, image: Path) -> None:
    with stranger(body, status) as other:
        result = runner.invoke(
            app, [str(image) if word == "IMAGE" else word for word in command] + ["--url", other.url]
        )
    assert result.exit_code == 1
    assert result.stderr.startswith(f"atelier: what answers at {other.url}/v1/models")
    assert result.stderr.endswith(f" is no Atelier gateway: status {status}\n")


@pytest.mark.parametrize("url", ["localhost:8501", "ftp://localhost", "http://", "http://[::1", "http://x:port"])
def test_an_address_that_cannot_be_one_is_wrong_use(url: str) -> None:
    result = runner.invoke(app, ["models", "--url", url])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"atelier: --url {url}: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("proxy", ["socks5://proxy:1080", "garbage:::"])
def test_a_proxy_that_cannot_be_used_is_said(proxy: str) -> None:
    result = runner.invoke(app, ["models", "--url", "http://gateway.example"], env={"ALL_PROXY": proxy})
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "atelier: --url http://gateway.example: the proxy that this environment names for it cannot"
    )
    assert result.stderr.count("\n") == 1


def test_a_models_name_is_quoted_in_the_address(image: Path) -> None:
    with stranger() as other:
        runner.invoke(app, ["predict", str(image), "--model", "a/b?c#d", "--url", other.url])
    assert other.paths == ["/v1/models/a%2Fb%3Fc%23d:classify?top_k=3"]


def test_only_models_that_answer_count_where_none_is_named(image: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_bundle(models / "brightness" / "1", scale=1 / 255)
    (models / "lost+found").mkdir()
    (models / "broken" / "1").mkdir(parents=True)
    with running_gateway(models) as gateway:
        result = runner.invoke(app, ["predict", str(image), "--url", gateway.rest_url, "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)[0]["model_spec"]["name"] == "brightness"


def test_without_a_name_a_choice_between_models_is_left_to_the_caller(image: Path) -> None:
    status = {"version": "1", "state": "AVAILABLE", "status": {"error_message": ""}}
    models = [{"name": name, "model_version_status": [status]} for name in ("cats", "dogs")]
    with stranger(json.dumps({"models": models}).encode()) as gateway:
        result = runner.invoke(app, ["predict", str(image), "--url", gateway.url])
    assert (result.exit_code, result.stderr) == (2, "atelier: which model? --model is one of: cats, dogs\n")


def test_names_are_printed_as_they_are(gateway: RunningGateway, image: Path) -> None:
    odd = image.with_name("x[") / "red] :shoe:.png"
    odd.parent.mkdir()
    image.rename(odd)
    result = runner.invoke(app, ["predict", str(odd), "--url", gateway.rest_url], env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.stderr
    assert str(odd) in result.stdout


def test_a_score_that_is_no_number_is_shown_as_that(image: Path) -> None:
    answer = {
        "model_spec": {"name": "m", "version": "1"},
        "classes": [{"index": 1, "label": "one", "probability": None}],
    }
    with stranger(json.dumps(answer).encode()) as gateway:
        result = runner.invoke(app, ["predict", str(image), "--model", "m", "--url", gateway.url])
    assert "no number" in result.stdout


def test_models_lists_versions_with_their_states(gateway: RunningGateway) -> None:
    result = runner.invoke(app, ["models", "--url", gateway.rest_url])
    assert result.stdout.splitlines()[1].split() == ["brightness", "classification", "1", "AVAILABLE"]
    listed = json.loads(runner.invoke(app, ["models", "--url", gateway.rest_url, "--json"]).stdout)
    assert [model["name"] for model in listed] == ["brightness"]


def test_models_says_why_a_version_failed_in_one_line(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_bundle(models / "brightness" / "1")
    damage(write_bundle(models / "brightness" / "2"))
    with running_gateway(models) as gateway:
        result = runner.invoke(app, ["models", "--url", gateway.rest_url], env={"COLUMNS": "80"})
    *table, error = result.stdout.splitlines()
    assert [line.split()[2:] for line in table[1:]] == [["2", "END"], ["1", "AVAILABLE"]]
    assert error.startswith("brightness version 2: model.onnx has checksum ")


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Serves `same`, which answers each number with itself, `brightness`, and what is neither of their kinds."""
    models = tmp_path_factory.mktemp("models")
    write_regression(models / "same" / "1")
    write_bundle(models / "brightness" / "1", scale=1 / 255)
    write_node_model(models / "logarithm" / "1", "Log", ["x"], [1])
    write_node_model(models / "twice" / "1", "Concat", ["x", "x"], [2], axis=1)
    write_identity_model(models / "text" / "1", 8, ["N", 1])
    with running_gateway(models) as running:
        yield running


def ask_numbers(gateway: RunningGateway, values: str, *options: str, model: str = "same") -> Result:
    return runner.invoke(app, ["predict", "--values", values, "--model", model, "--url", gateway.rest_url, *options])


def test_numbers_are_answered_in_a_table(regression: RunningGateway) -> None:
    result = ask_numbers(regression, "-40, 37.5,1e6")
    assert result.exit_code == 0, result.stderr
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["model", "value", "prediction"],
        ["same", "-40", "-40"],
        ["same", "37.5", "37.5"],
        ["same", "1e+06", "1e+06"],
    ]


def test_numbers_are_answered_in_json(regression: RunningGateway) -> None:
    result = ask_numbers(regression, "100", "--json")
    assert json.loads(result.stdout) == [{"value": 100.0, "prediction": 100.0}]


@pytest.mark.parametrize("values", ["", "hot", "1,,2", "nan", "1,inf"])
def test_values_that_are_no_numbers_are_wrong_use(values: str) -> None:
    result = runner.invoke(app, ["predict", "--values", values])
    assert (result.exit_code, result.stderr) == (
        2,
        f"atelier: --values: expected numbers with commas between them, such as 100,37.5; received {values!r}\n",
    )


@pytest.mark.parametrize(("arguments", "received"), [([], "neither"), (["a.png", "--values", "1"], "both")])
def test_either_images_or_values_are_expected(arguments: list[str], received: str) -> None:
    result = runner.invoke(app, ["predict", *arguments])
    assert (result.exit_code, result.stderr) == (
        2,
        f"atelier: predict: expected image files, or numbers as --values 100,37.5; received {received}\n",
    )


def test_numbers_for_a_classifier_are_refused(regression: RunningGateway) -> None:
    result = ask_numbers(regression, "1", model="brightness")
    assert result.exit_code == 1
    assert result.stderr == (
        "atelier: brightness classifies images and takes no --values: "
        'input "pixels": expected shape [?, 2, 2], received [1, 1]\n'
    )


def test_an_image_for_a_regression_is_refused(regression: RunningGateway, image: Path) -> None:
    result = runner.invoke(app, ["predict", str(image), "--model", "same", "--url", regression.rest_url])
    assert (result.exit_code, result.stdout, result.stderr) == (
        1,
        "",
        f"atelier: {image}: model same is a regression, which takes numbers and no image: ask ':predict'\n",
    )


def test_a_number_out_of_range_and_a_model_that_is_not_served_are_said(regression: RunningGateway) -> None:
    too_large, unknown = ask_numbers(regression, "1e300"), ask_numbers(regression, "1", model="other")
    assert (too_large.exit_code, unknown.exit_code) == (1, 1)
    assert too_large.stderr.startswith('atelier: same: input "features": expected float32 values from -3.4')
    assert unknown.stderr.startswith(
        "atelier: other: Servable not found for request: Latest(other); --model may be one of: "
    )


@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_prediction_that_is_no_number_is_shown_as_that(value: str, regression: RunningGateway) -> None:
    result = ask_numbers(regression, f"{value},1", model="logarithm")
    assert result.exit_code == 0
    assert [line.split()[-2:] for line in result.stdout.splitlines()[1:]] == [["no", "number"], ["1", "0"]]


@pytest.mark.parametrize("model", ["twice", "text"])
def test_what_is_no_prediction_of_a_regression_is_said(model: str, regression: RunningGateway) -> None:
    result = ask_numbers(regression, "1", model=model)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"atelier: {model}: ")


def test_models_says_what_each_is_for(regression: RunningGateway) -> None:
    result = runner.invoke(app, ["models", "--url", regression.rest_url])
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [
        ["brightness", "classification"],
        ["logarithm", "unknown"],
        ["same", "regression"],
        ["text", "unknown"],
        ["twice", "unknown"],
    ]


@pytest.mark.parametrize(
    ("command", "defaults"),
    [
        ("train", []),
        ("recipes", []),
        ("export", ["(a run's data set, its folder of own images, or the file's name)", "(the next free one)"]),
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


def test_a_command_that_is_none_is_told_the_one_that_was_meant() -> None:
    result = runner.invoke(app, ["serv"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "Did you mean 'serve'" in result.output
