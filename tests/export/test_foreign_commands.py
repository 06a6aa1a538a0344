"""The commands on models that Atelier did not train."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from atelier.export import export
from atelier.inspect import inspect, verify
from tests.support.foreign_models import write_float_classifier, write_free_shapes, write_onnx_with_data_file

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # restores what the command sets


def run(*arguments: object) -> Result:
    app = typer.Typer()
    for command in (export, inspect, verify):
        app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_an_onnx_file_is_exported_described_by_flags_and_inspected(tmp_path: Path) -> None:
    path = write_onnx_with_data_file(tmp_path / "m")
    exported = run("export", path, "--models", tmp_path / "models", "--labels", "ant,bee,cow", "--name", "animals")
    inspected = run("inspect", tmp_path / "models" / "animals")
    listed = json.loads(run("inspect", tmp_path / "models" / "animals", "--json").stdout)

    assert exported.exit_code == 0, exported.output
    assert "There is nothing to hold onnx against, which answers random and extreme inputs" in exported.stdout
    assert "Held against" not in exported.stdout
    assert inspected.exit_code == 0, inspected.output
    for part in ("animals, classification, made", "Versions: 1", "Labels (3): ant, bee", "From: linear.onnx, onnx"):
        assert part in inspected.stdout
    assert (listed["kind"], listed["versions"], listed["labels"]) == ("bundle", [1], ["ant", "bee", "cow"])
    assert listed["provenance"]["file"] == "linear.onnx"
    assert run("verify", tmp_path / "models" / "animals", "--deep").stdout.endswith("as published, answered by onnx\n")


def test_a_keras_file_is_exported_as_taking_pixels(tmp_path: Path) -> None:
    path = write_float_classifier(tmp_path / "digits.keras")
    flags = ("--image-size", 8, "--pixels", "-1..1", "--labels", "a,b,c")
    exported = run("export", path, "--models", tmp_path / "models", *flags)

    assert exported.exit_code == 0, exported.output
    assert "There is no data set to compare on: random and extreme inputs only" in exported.stdout
    manifest = json.loads((tmp_path / "models" / "digits" / "1" / "manifest.json").read_text())
    assert manifest["image"] == {"height": 8, "width": 8, "colour": "grayscale", "resize": "bilinear"}
    assert manifest["signatures"]["serving_default"]["inputs"][0]["name"] == "pixels"


def test_a_bundle_without_onnx_says_so(tmp_path: Path) -> None:
    exported = run("export", write_free_shapes(tmp_path / "free"), "--models", tmp_path / "models", "--no-onnx")

    assert exported.exit_code == 0, exported.output
    assert "Note: there is no model.onnx, so that it takes TensorFlow Serving or the tensorflow back" in exported.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["--labels", "a,b"], 1, "atelier: the model gives float32 [?, 3], expected scores [?, 2] for its 2 labels\n"),
        (["--labels", "no-such.txt"], 2, "atelier: labels: expected a file or names between commas, received"),
        (["--colour", "rgb"], 2, "atelier: --colour says nothing without the images' size: expected --image-size too"),
        (["--image-size", "big"], 2, "atelier: the image's size: expected pixels as 28 or 24x32, received 'big'\n"),
        (["--pixels", "0..1"], 2, "atelier: --pixels: has no meaning for anything but a .keras file"),
        (["--task", "regression", "--labels", "a,b,c"], 2, "atelier: a regression has neither labels nor images"),
    ],
)
def test_flags_that_do_not_fit_are_one_sentence(
    tmp_path: Path, arguments: list[str], status: int, sentence: str
) -> None:
    path = write_onnx_with_data_file(tmp_path / "m")
    result = run("export", path, "--models", tmp_path / "models", *arguments)

    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr.startswith(sentence)
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("kind", ["onnx", "saved_model"])
def test_a_model_without_a_manifest_is_shown_without_tensorflow(kind: str, tmp_path: Path) -> None:
    path = write_onnx_with_data_file(tmp_path / "m") if kind == "onnx" else write_free_shapes(tmp_path / "m")
    command = (
        "import sys; from atelier.inspect import inspect\n"
        "inspect(sys.argv[1])\n"
        "assert not {'tensorflow', 'keras', 'onnxruntime', 'fsspec'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    listed = json.loads(run("inspect", path, "--json").stdout)

    assert (done.returncode, done.stderr) == (0, "")
    assert "serving_default" in done.stdout
    assert "of unknown task" in done.stdout
    assert (listed["kind"], listed["labels"], listed["training"]) == (kind, [], None)
    assert set(listed["signatures"]) == {"serving_default"}
    assert all(entry["size_bytes"] > 0 for entry in listed["files"].values())
