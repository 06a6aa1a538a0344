"""The use case from a run to a version, and everything that keeps a version from appearing."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from export import onnx_beside
from export.errors import ExportError, WrongUseError
from export.exporter import Exported, ParityError
from export.onnx_model import write_onnx
from export.targets.int8 import Int8
from export.targets.tflite import TFLite
from serving.bundle import read_manifest
from tests.support.exports import export_run
from training.run import Run

ROOT = Path(__file__).parents[2]


def with_config(run: Run, **changes: object) -> Run:
    return dataclasses.replace(run, config=run.config.model_copy(update=changes))


def nudge_a_weight(path: Path, by: float) -> None:
    """Adds to one number of the last weights, which are the biases of the scores or of their kind."""
    import numpy as np
    import onnx

    model = onnx.load(path)
    weight = next(weight for weight in reversed(model.graph.initializer) if weight.data_type == onnx.TensorProto.FLOAT)
    values = np.array(onnx.numpy_helper.to_array(weight))
    values.flat[0] += by
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, path)


@pytest.mark.parametrize(("by", "reason"), [(0.01, "the largest difference"), (5.0, "agree on the top class of")])
def test_a_model_whose_weights_changed_in_the_conversion_is_refused(
    digits_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: float, reason: str
) -> None:
    def write_wrong_onnx(function: Any, signature: Any, path: Path, **others: Any) -> None:
        write_onnx(function, signature, path, **others)
        nudge_a_weight(path, by)

    monkeypatch.setattr(onnx_beside, "write_onnx", write_wrong_onnx)

    with pytest.raises(
        ParityError, match=f"nothing was published: onnx does not answer like keras.*{reason}"
    ) as caught:
        export_run(digits_run, tmp_path / "models")

    assert list(tmp_path.iterdir()) == []
    assert {parity.runtime: parity.max_abs_difference > 1e-4 for parity in caught.value.evidence.parities} == {
        "tensorflow": False,
        "onnx": True,
    }
    assert {comparison.inputs for comparison in caught.value.evidence.comparisons} == {
        "test split",
        "all 0",
        "all 255",
        "random",
    }


def test_a_run_whose_figures_are_not_those_of_its_model_is_refused(digits_run: Run, tmp_path: Path) -> None:
    metrics = digits_run.metrics.model_copy(update={"value": 0.5})
    run = dataclasses.replace(digits_run, metrics=metrics)

    with pytest.raises(ParityError, match=r"but the run recorded 0\.5000: this is not the model that was trained"):
        export_run(run, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_another_data_set_under_the_same_name_is_refused(digits_run: Run, tmp_path: Path) -> None:
    run = with_config(digits_run, dataset_sha256="0" * 64)

    with pytest.raises(
        ExportError, match=r"digits from .* is not the data .* expected checksum 000000000000…, received"
    ):
        export_run(run, tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"labels": ("0", "1")}, r"the model gives float32 \[\?, 10\], expected float32 \[\?, 2\]"),
        ({"labels": (*"012345678", "9\n10")}, r"label 9 is '9\\n10', expected one line of text"),
        ({"labels": ("", *"123456789")}, r"label 0 is '', expected one line of text"),
    ],
)
def test_labels_that_do_not_fit_the_model_are_named(
    digits_run: Run, tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ExportError, match=sentence):
        export_run(with_config(digits_run, **changes), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_version_that_exists_is_refused_before_any_work(exported: Exported, digits_run: Run) -> None:
    steps: list[str] = []

    with pytest.raises(WrongUseError, match="version 1 of digits exists already"):
        export_run(digits_run, exported.path.parents[1], version=1, progress=steps.append)

    assert steps == []


def test_a_repository_that_cannot_be_written_to_is_named(digits_run: Run, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")

    with pytest.raises(ExportError, match=r"models.* cannot be written: (Not a directory|File exists)"):
        export_run(digits_run, tmp_path / "models")


def test_the_same_run_gives_the_same_bytes_in_another_process_but_where_tensorflow_counts_names(
    digits_run: Run, tmp_path: Path
) -> None:
    exported = export_run(digits_run, tmp_path / "here", targets=[Int8(), TFLite()])
    command = "import typer; from atelier.export import export; typer.run(export)"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            command,
            str(digits_run.path),
            "--models",
            str(tmp_path),
            "--name",
            "twin",
            "--int8",
            "--tflite",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "12345", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "Published version 1 of twin" in done.stdout
    manifest = read_manifest(tmp_path / "twin" / "1")
    assert manifest is not None
    # TensorFlow numbers functions by what else the process has done; the report has latencies.
    counting = ("saved_model.pb", "variables/", "parity.md")
    first, twin = (
        {name: record.sha256 for name, record in found.files.items() if not name.startswith(counting)}
        for found in (exported.manifest, manifest)
    )
    assert set(first) == {
        "model.onnx",
        "model.int8.onnx",
        "model.tflite",
        "assets/labels.txt",
        "assets.extra/tf_serving_warmup_requests",
    }
    assert first == twin
