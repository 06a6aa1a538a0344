"""Looking at models that are no bundles, and at bundles of other people's models."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from export.errors import ExportError, WrongUseError
from export.exporter import Exported, export_model
from export.inspection import inspect_model
from export.sources.opening import open_source
from export.verification import check_version
from serving.signatures import TENSORFLOW_DTYPES, Signature
from tests.support.foreign_models import (
    UNANSWERABLE_DTYPES,
    write_echo,
    write_free_shapes,
    write_onnx_with_data_file,
    write_tensorflow_1_model,
    write_unanswerable_signatures,
)
from tests.support.onnx_models import write_two_input_model
from training.run import Run


def tensors(signature: Signature) -> list[tuple[str, str, tuple[int | None, ...]]]:
    return [(spec.name, spec.dtype, spec.shape) for spec in (*signature.inputs, *signature.outputs)]


def test_a_saved_models_signatures_are_those_that_tensorflow_reads(tmp_path: Path) -> None:
    import tensorflow as tf

    folder = write_tensorflow_1_model(tmp_path / "one")
    found = inspect_model(folder)

    loaded = tf.saved_model.load(str(folder))
    assert (found.kind, set(found.signatures)) == ("saved_model", set(loaded.signatures))
    for name, function in loaded.signatures.items():
        outputs = function.structured_outputs
        assert {(spec.name, spec.dtype, spec.shape) for spec in found.signatures[name].outputs} == {
            (key, spec.dtype.name, tuple(spec.shape)) for key, spec in outputs.items()
        }
    assert found.made_with == (f"TensorFlow {tf.__version__}",)
    assert found.sizes_bytes["saved_model.pb"] == (folder / "saved_model.pb").stat().st_size
    assert found.description.labels == ()


def test_signatures_that_no_server_of_ours_can_express_are_named(tmp_path: Path) -> None:
    found = inspect_model(write_unanswerable_signatures(tmp_path / "model"))

    assert set(found.signatures) == {"serving_default"}
    assert found.unreadable == {
        "sparse": '"x" is sparse or made of several tensors, expected one dense tensor',
        **{
            name: f'"x" has TensorFlow\'s dtype {number}, expected one of {", ".join(TENSORFLOW_DTYPES)}'
            for name, number in UNANSWERABLE_DTYPES.items()
        },
    }


def test_free_sizes_and_scalars_are_read(tmp_path: Path) -> None:
    found = inspect_model(write_free_shapes(tmp_path / "free"))

    assert tensors(found.signatures["serving_default"]) == [
        ("numbers", "int64", (None, None)),
        ("count", "int32", ()),
        ("doubled", "int64", (None, None)),
    ]


def test_an_onnx_file_says_its_signature_opset_and_data_files(tmp_path: Path) -> None:
    found = inspect_model(write_onnx_with_data_file(tmp_path / "m"))

    assert (found.kind, found.made_with) == ("onnx", ("ONNX opset 17",))
    assert set(found.sizes_bytes) == {"linear.onnx", "weights/model.bin"}
    assert tensors(found.signatures["serving_default"]) == [
        ("x", "float32", (None, 4)),
        ("scores", "float32", (None, 3)),
    ]


def test_the_onnx_file_of_a_bundle_says_what_its_manifest_says(exported: Exported) -> None:
    found = inspect_model(exported.path / "model.onnx")

    assert found.description.labels == exported.manifest.labels
    assert found.description.image == exported.manifest.image
    assert found.made_with == (f"tf2onnx {metadata.version('tf2onnx')}", "ONNX opset 17")
    assert found.signatures["serving_default"].inputs == exported.manifest.signatures["serving_default"].inputs


def test_of_a_models_folder_the_newest_version_is_shown_and_all_are_named(tmp_path: Path) -> None:
    for number in (3, 20):
        write_two_input_model(tmp_path / "sums" / str(number))
    found = inspect_model(tmp_path / "sums")

    assert (found.path, found.versions) == (tmp_path / "sums" / "20" / "model.onnx", (3, 20))


def test_a_run_shows_what_its_export_would_take_and_give(digits_run: Run, exported: Exported) -> None:
    found = inspect_model(digits_run.path)

    assert (found.kind, found.training) == ("run", exported.manifest.training)
    assert found.signatures["serving_default"] == exported.manifest.signatures["serving_default"]
    assert found.metrics == {"accuracy": digits_run.metrics.value}


def test_what_is_no_model_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")

    with pytest.raises(WrongUseError, match=r"notes\.txt is no model: .*found a file of another kind"):
        inspect_model(tmp_path / "notes.txt")
    with pytest.raises(WrongUseError, match=r"no-such is no model: .*found nothing"):
        inspect_model(tmp_path / "no-such")
    with pytest.raises(WrongUseError, match="neither a version nor a model's folder of versions"):
        inspect_model(tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    for name in ("saved_model.pb", "model.onnx"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_bytes(b"\xff\xff\xff")
        with pytest.raises(ExportError, match=name):
            inspect_model(folder)


def test_a_deep_check_asks_every_runtime(exported: Exported) -> None:
    shallow, deep = check_version(exported.path), check_version(exported.path, deep=True)

    assert (shallow.reason, shallow.runtimes) == (None, ())
    assert (deep.reason, deep.runtimes) == (None, ("tensorflow", "onnx"))


def test_a_deep_check_finds_a_model_that_nothing_can_load(tmp_path: Path) -> None:
    published = export_model(open_source(write_echo(tmp_path / "echo"), with_onnx=False), tmp_path / "models")
    (published.path / "variables" / "variables.index").unlink()
    manifest = published.manifest.model_copy(
        update={"files": {name: record for name, record in published.manifest.files.items() if "index" not in name}}
    )
    manifest.write(published.path)

    assert check_version(published.path).reason is None
    assert "TensorFlow cannot load the SavedModel" in (check_version(published.path, deep=True).reason or "")
