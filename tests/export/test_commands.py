"""`atelier export`, `atelier inspect` and `atelier verify`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from atelier.export import export
from atelier.inspect import inspect, verify
from export.exporter import Exported
from training.run import CONFIG, METRICS, Run

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # restores what the command sets


@pytest.fixture
def copy(exported: Exported, tmp_path: Path) -> Path:
    """A repository of one's own with version 1 of `digits`."""
    return Path(shutil.copytree(exported.path, tmp_path / "digits" / "1"))


def run(*arguments: object) -> Result:
    app = typer.Typer()
    for command in (export, inspect, verify):
        app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_export_prints_the_parity_and_where_the_version_is(digits_run: Run, tmp_path: Path) -> None:
    result = run("export", digits_run.path, "--models", tmp_path, "--name", "numbers", "--version", 12)

    assert result.exit_code == 0, result.output
    assert "Held against keras" in result.stdout
    for heading in ("difference", "same top class", "accuracy", "1 row", "32 rows", "size"):
        assert heading in result.stdout
    for runtime in ("keras", "tensorflow", "onnx"):
        assert f"│ {runtime}" in result.stdout
    assert "Accuracy is of the 360 test examples; in training it was 0." in result.stdout
    assert max(len(line) for line in result.stdout.splitlines() if "│" in line) <= 100
    assert f"Published version 12 of numbers in {tmp_path}/numbers/12" in result.stdout


def test_export_answers_machines_in_json(digits_run: Run, tmp_path: Path) -> None:
    result = run("export", digits_run.path, "--models", tmp_path, "--json")

    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["published"], answer["name"], answer["version"]) == (True, "digits", 1)
    assert answer["path"] == str(tmp_path / "digits" / "1")
    assert answer["reference"] == "keras"
    assert [(parity["runtime"], parity["top1_agreement"]) for parity in answer["parity"]] == [
        ("tensorflow", 1),
        ("onnx", 1),
    ]
    assert (answer["bounds"]["difference"], answer["allowed"], answer["violations"]) == (1e-5, {}, [])
    assert {row["inputs"] for row in answer["parity_by_inputs"]} == {"test split", "all 0", "all 255", "random"}


def test_export_publishes_into_a_store(digits_run: Run) -> None:
    result = run("export", digits_run.path, "--models", "memory://export-command/models")
    verified = run("verify", "memory://export-command/models/digits")

    assert result.exit_code == 0, result.output
    assert "Published version 1 of digits in memory://export-command/models/digits/1 (" in result.stdout
    assert verified.exit_code == 0, verified.output
    assert verified.stdout.startswith("memory://export-command/models/digits/1: 7 files, ")


def test_a_regression_is_shown_with_its_own_figures(celsius_run: Run, tmp_path: Path) -> None:
    result = run("export", celsius_run.path, "--models", tmp_path)
    inspected = run("inspect", tmp_path / "celsius")
    listed = json.loads(run("inspect", tmp_path / "celsius", "--json").stdout)

    assert result.exit_code == 0, result.output
    assert "relative" in result.stdout
    assert "same top class" not in result.stdout
    assert "Mean absolute error is of the " in result.stdout
    assert inspected.exit_code == 0, inspected.output
    for part in (
        "celsius, regression, made",
        "features",
        "float32",
        "[?, 1]",
        "mean absolute error 0.",
        "Held against",
    ):
        assert part in inspected.stdout
    assert "Labels" not in inspected.stdout
    assert listed["parity"][0]["top1_agreement"] is None


def test_the_json_of_a_regression_has_its_metrics_name(celsius_run: Run, tmp_path: Path) -> None:
    answer = json.loads(run("export", celsius_run.path, "--models", tmp_path, "--json").stdout)

    assert set(answer["mean_absolute_error"]) == {"keras", "tensorflow", "onnx"}
    assert answer["recorded_mean_absolute_error"] == celsius_run.metrics.value
    assert answer["evaluated_on"] == "test"
    assert set(answer["parity"][0]) == {
        "runtime",
        "reference",
        "examples",
        "max_abs_difference",
        "max_relative_difference",
        "mean_absolute_error",
        "latency_ms_batch_1",
        "latency_ms_batch_32",
        "size_bytes",
    }


def test_a_folder_whose_name_is_no_models_name_needs_another(digits_run: Run, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(digits_run.path, tmp_path / "run"))
    config = digits_run.config.model_copy(update={"dataset": "folder", "data_dir": str(tmp_path / "my photos")})
    config.write(copied / CONFIG)

    result = run("export", copied, "--models", tmp_path / "models")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("which is no name for a model: give it one with --name\n")


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_refused_export_shows_the_figures_and_the_reason(digits_run: Run, tmp_path: Path, as_json: list[str]) -> None:
    spoilt = Path(shutil.copytree(digits_run.path, tmp_path / "run"))
    metrics = json.loads((spoilt / METRICS).read_text())
    (spoilt / METRICS).write_text(json.dumps({**metrics, "value": 0.25}))

    result = run("export", spoilt, "--models", tmp_path / "models", *as_json)

    assert result.exit_code == 1
    assert "0.2500: this is not the model that was trained" in result.stderr
    if as_json:
        answer = json.loads(result.stdout)
        assert answer["published"] is False
        assert {violation["runtime"] for violation in answer["violations"]} == {"keras", "tensorflow", "onnx"}
    else:
        assert result.stdout.count("not 0.2500") == 3
    assert not (tmp_path / "models").exists()


def test_a_bound_that_was_loosened_is_on_record(digits_run: Run, tmp_path: Path) -> None:
    loosened = ["--allow", "difference=1e-4", "--allow", "agreement=0.99"]
    result = run("export", digits_run.path, "--models", tmp_path, *loosened)
    inspected = run("inspect", tmp_path / "digits")
    listed = json.loads(run("inspect", tmp_path / "digits", "--json").stdout)

    assert result.exit_code == 0, result.output
    assert listed["allowed"] == {"difference": 1e-4, "agreement": 0.99}
    report = (tmp_path / "digits" / "1" / "parity.md").read_text()
    for text in (result.stdout, inspected.stdout, report):
        assert "Bounds set on purpose: difference=0.0001, agreement=0.99" in text


def test_an_unknown_bound_lists_the_known_ones(digits_run: Run, tmp_path: Path) -> None:
    result = run("export", digits_run.path, "--models", tmp_path / "models", "--allow", "speed=2")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--allow knows no bound 'speed': expected NAME=VALUE with one of difference, " in result.stderr
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["export", "no-such-run", "--models", "m"],
            (
                "atelier: no-such-run is no model: expected a run folder, a .keras file, a SavedModel's folder or an "
                ".onnx file, found nothing\n"
            ),
        ),
        (
            ["inspect", "nowhere"],
            (
                "atelier: nowhere is no model: expected a bundle, a model's folder of versions, a run folder, a "
                "SavedModel's folder or an .onnx file, found nothing\n"
            ),
        ),
        (
            ["verify", "."],
            "atelier: . is neither a version nor a model's folder of versions: there is no model in it\n",
        ),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)

    result = run(*arguments)

    assert (result.exit_code, result.stdout, result.stderr) == (2, "", sentence)


def test_a_name_that_leaves_the_repository_is_wrong_use(digits_run: Run, tmp_path: Path) -> None:
    result = run("export", digits_run.path, "--models", tmp_path / "models", "--name", "../up")

    assert result.exit_code == 2
    assert result.stderr.startswith("atelier: '../up' is no name for a model")


def test_inspect_shows_signatures_labels_origin_parity_and_files(copy: Path) -> None:
    result = run("inspect", copy)

    assert result.exit_code == 0, result.output
    for part in (
        "serving_default",
        "uint8",
        "[?, 8, 8]",
        "Labels (10): 0, 1",
        "digits-test",
        "Held against",
        "model.onnx",
    ):
        assert part in result.stdout


def test_on_80_columns_a_figure_is_whole_and_stays_beside_its_unit(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    shown = run("inspect", copy).stdout

    rows = [line for line in shown.splitlines() if line.startswith(("│ tensorflow", "│ onnx"))]
    assert len(rows) == 2
    for row in rows:
        assert len(row) <= 80
        assert " 100.00% │" in row
        assert len(re.findall(r"\d [mµ]s │", row)) == 2
        assert row.endswith(("KiB │", "MiB │", " B │"))


def test_a_run_has_the_figures_of_its_training(digits_run: Run) -> None:
    assert f"In training: accuracy {digits_run.metrics.value:.4f}\n" in run("inspect", digits_run.path).stdout


def test_inspect_of_a_model_shows_its_newest_version_in_json(copy: Path) -> None:
    shutil.copytree(copy, copy.with_name("10"))
    shutil.copytree(copy, copy.with_name("011"))

    result = run("inspect", copy.parent, "--json")

    answer = json.loads(result.stdout)
    assert answer["path"] == str(copy.with_name("10"))
    assert answer["signatures"]["serving_default"]["inputs"][0]["shape"] == [None, 8, 8]


def test_inspect_needs_no_tensorflow(copy: Path) -> None:
    command = (
        "import sys; from atelier.inspect import inspect, verify\n"
        "inspect(sys.argv[1]); verify(sys.argv[1])\n"
        "assert not {'tensorflow', 'keras', 'onnx', 'onnxruntime', 'fsspec'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, str(copy)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_inspect_says_that_a_manifest_is_missing_or_damaged(copy: Path) -> None:
    (copy / "manifest.json").write_text("{}")
    damaged = run("inspect", copy)
    (copy / "manifest.json").unlink()
    missing = run("inspect", copy)

    assert (damaged.exit_code, missing.exit_code) == (1, 0)
    assert damaged.stderr == "atelier: manifest.json is not valid: name: Field required\n"
    assert f"{copy}: a SavedModel without a manifest" in missing.stdout


def test_verify_passes_what_is_as_published(copy: Path) -> None:
    result = run("verify", copy)

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{copy}: 7 files, ")


def test_verify_of_a_model_names_the_version_and_file_that_changed(copy: Path) -> None:
    second = copy.with_name("2")
    shutil.copytree(copy, second)
    content = bytearray((second / "model.onnx").read_bytes())
    content[1000] ^= 1
    (second / "model.onnx").write_bytes(content)

    result = run("verify", copy.parent)
    answer = json.loads(run("verify", copy.parent, "--json").stdout)

    assert result.exit_code == 1
    assert f"{copy}: 7 files" in result.stdout
    assert result.stderr.startswith(f"atelier: {second}: model.onnx has checksum ")
    assert [(version["path"], version["intact"]) for version in answer["versions"]] == [
        (str(copy), True),
        (str(second), False),
    ]


def test_verify_cannot_pass_a_version_without_a_manifest(copy: Path) -> None:
    (copy / "manifest.json").unlink()

    result = run("verify", copy)

    assert result.exit_code == 1
    assert "there is no manifest.json to hold the files against" in result.stderr


def test_every_format_is_one_option_away_and_has_its_row(digits_run: Run, tmp_path: Path) -> None:
    result = run("export", digits_run.path, "--models", tmp_path, "--int8", "--tflite")
    verified = run("verify", tmp_path / "digits", "--deep")

    assert result.exit_code == 0, result.output
    for runtime in ("keras", "tensorflow", "onnx", "onnx-int8", "tflite"):
        assert f"│ {runtime} " in result.stdout
    assert max(len(line) for line in result.stdout.splitlines() if "│" in line) <= 100
    assert verified.exit_code == 0, verified.output
    assert "onnx-int8" in verified.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--int8"], "atelier: --int8 is for classifiers: a regression's prediction has no scale "),
        (["--allow", "difference"], "atelier: --allow difference expects a number from 0, received ''"),
    ],
)
def test_what_this_model_cannot_have_is_one_sentence(
    celsius_run: Run, tmp_path: Path, options: list[str], sentence: str
) -> None:
    result = run("export", celsius_run.path, "--models", tmp_path / "models", *options)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(sentence)
    assert not (tmp_path / "models").exists()
