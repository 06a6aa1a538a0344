"""The files for TensorFlow Serving and Triton, read with those servers' own messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from export.exporter import Exported
from export.location import parse_location
from export.repository_files import (
    batching_config,
    is_unedited,
    models_config,
    monitoring_config,
    sealed,
    triton_config,
    write_repository_files,
)
from serving.bundle import Manifest, read_manifest
from serving.signatures import Signature, TensorSpec
from tests.support.bundles import write_bundle
from tests.support.server_messages import batching_parameters, monitoring_config_message

FILES = ["batching.config", "models.config", "monitoring.config"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A repository whose `clothes` TensorFlow Serving could load, and where a killed publisher left a folder."""
    add_version(tmp_path / "models", "clothes", 1)
    (tmp_path / "models" / "clothes" / ".publishing-x").mkdir()
    return tmp_path / "models"


def add_version(models: Path, name: str, number: int) -> Manifest:
    version_dir = models / name / str(number)
    version_dir.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(version_dir)
    (version_dir / "saved_model.pb").touch()
    manifest = read_manifest(version_dir)
    assert manifest is not None
    return manifest


def refresh(models: Path, name: str = "clothes") -> tuple[str, ...]:
    manifest = read_manifest(models / name / "1")
    assert manifest is not None
    scratch = models / name / ".publishing-me"
    scratch.mkdir(exist_ok=True)
    notes = write_repository_files(models, manifest, scratch)
    assert list(scratch.iterdir()) == []
    scratch.rmdir()
    return notes


def parsed(path: Path | str, message: Any) -> Any:
    return text_format.Parse(path.read_text() if isinstance(path, Path) else path, message)


def listed(models: Path) -> dict[str, str]:
    from tensorflow_serving.config import model_server_config_pb2

    config = parsed(models / "models.config", model_server_config_pb2.ModelServerConfig())
    assert {entry.model_platform for entry in config.model_config_list.config} <= {"tensorflow"}
    return {entry.name: entry.base_path for entry in config.model_config_list.config}


def test_an_export_leaves_the_files_of_all_servers_beside_its_version(exported: Exported) -> None:
    models = exported.path.parents[1]

    assert sorted(path.name for path in models.iterdir() if path.is_file()) == FILES
    assert listed(models)["digits"] == str(models / "digits")
    assert (models / "digits" / "config.pbtxt").is_file()
    assert exported.notes == ()


def test_models_config_lists_every_model_that_tensorflow_serving_loads(models: Path) -> None:
    add_version(models, "shoes", 3)
    (models / "only-onnx").mkdir()
    write_bundle(models / "only-onnx" / "1")
    (models / "notes").mkdir()

    assert refresh(models) == ()

    assert listed(models) == {"clothes": str(models / "clothes"), "shoes": str(models / "shoes")}


def test_paths_are_absolute_wherever_the_command_ran(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models.parent)

    assert refresh(Path("models")) == ()

    assert listed(models) == {"clothes": str(models / "clothes")}


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=20), max_size=3))
def test_any_path_survives_the_text_format(paths: dict[str, str]) -> None:
    from tensorflow_serving.config import model_server_config_pb2

    config = parsed(models_config(paths), model_server_config_pb2.ModelServerConfig())

    assert {entry.name: entry.base_path for entry in config.model_config_list.config} == paths


def test_batching_config_is_what_tensorflow_serving_reads() -> None:
    parameters = parsed(batching_config(), batching_parameters())

    assert parameters.max_batch_size.value == 64
    assert parameters.batch_timeout_micros.value == 0
    assert parameters.max_enqueued_batches.value == 100


def test_monitoring_config_is_what_tensorflow_serving_reads() -> None:
    config = parsed(monitoring_config(), monitoring_config_message())

    assert config.prometheus_config.enable
    assert config.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_config_pbtxt_is_what_triton_reads(models: Path) -> None:
    refresh(models)

    config = parsed(models / "clothes" / "config.pbtxt", triton_message())

    assert (config.backend, config.max_batch_size, config.HasField("dynamic_batching")) == ("onnxruntime", 64, True)
    assert [(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in config.input] == [
        ("pixels", type_number("TYPE_UINT8"), [2, 2])
    ]
    assert [(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in config.output] == [
        ("scores", type_number("TYPE_FP32"), [3])
    ]


def test_a_model_of_a_fixed_batch_is_not_batched_by_triton() -> None:
    signature = Signature(
        (TensorSpec("tokens", "int64", (4, None)), TensorSpec("names", "string", (4,))),
        (TensorSpec("found", "bool", (4, 2)), TensorSpec("half", "float16", (4,))),
    )

    config = parsed(triton_config(signature), triton_message())

    assert (config.max_batch_size, config.HasField("dynamic_batching")) == (0, False)
    assert [(tensor.data_type, list(tensor.dims)) for tensor in (*config.input, *config.output)] == [
        (type_number("TYPE_INT64"), [4, -1]),
        (type_number("TYPE_STRING"), [4]),
        (type_number("TYPE_BOOL"), [4, 2]),
        (type_number("TYPE_FP16"), [4]),
    ]


def test_files_that_are_up_to_date_are_not_touched(models: Path) -> None:
    refresh(models)
    before = {path: path.stat().st_ino for path in models.rglob("*.config")}

    refresh(models)

    assert {path: path.stat().st_ino for path in models.rglob("*.config")} == before


def test_a_model_that_comes_later_is_added(models: Path) -> None:
    refresh(models)
    add_version(models, "shoes", 1)

    refresh(models, "shoes")

    assert list(listed(models)) == ["clothes", "shoes"]


@pytest.mark.parametrize("name", [*FILES, "clothes/config.pbtxt"])
@pytest.mark.parametrize("edit", ["a line more", "the seal is gone", "another file", "no text"])
def test_an_edited_file_is_left_alone_and_named(models: Path, name: str, edit: str) -> None:
    refresh(models)
    file = models / name
    content = file.read_bytes()
    edited = {
        "a line more": content + b"# mine\n",
        "the seal is gone": content.partition(b"\n")[2],
        "another file": b"",
        "no text": b"\xff\xfe",
    }[edit]
    file.write_bytes(edited)
    add_version(models, "shoes", 1)

    notes = refresh(models)

    assert file.read_bytes() == edited
    assert notes == (f"{file} was edited and is left as it is; delete it to have it written again",)


def test_a_file_that_cannot_be_written_is_named(models: Path) -> None:
    (models / "models.config").mkdir()

    (note,) = refresh(models)

    assert note == f"{models}/models.config was not written: Is a directory"


def test_publishers_that_meet_leave_a_list_of_both_models(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from export import repository_files

    listings = [lambda root: {"clothes": str(root / "clothes")}]
    list_now = repository_files._base_paths

    def list_as_if_before_the_other(root: Path) -> dict[str, str]:
        return listings.pop()(root) if listings else list_now(root)

    add_version(models, "shoes", 1)
    monkeypatch.setattr(repository_files, "_base_paths", list_as_if_before_the_other)

    refresh(models)

    assert list(listed(models)) == ["clothes", "shoes"]


@given(st.text(), st.text(min_size=1))
def test_the_seal_breaks_with_any_edit(content: str, more: str) -> None:
    assert is_unedited(sealed(content))
    assert not is_unedited(sealed(content) + more)
    assert not is_unedited(content)


def triton_message() -> Any:
    return model_config_pb2.ModelConfig()


def type_number(name: str) -> int:
    return int(model_config_pb2.DataType.Value(name))


def test_a_repository_in_a_store_has_the_files_too(models: Path) -> None:
    store = parse_location("memory://bucket/models")
    for path in (models / "clothes" / "1").iterdir():
        if path.is_file():
            (store / "clothes" / "1" / path.name).write_bytes(path.read_bytes())
    manifest = read_manifest(models / "clothes" / "1")
    assert manifest is not None

    assert write_repository_files(store, manifest, models / "clothes") == ()

    from tensorflow_serving.config import model_server_config_pb2

    text = (store / "models.config").read_text()
    (entry,) = parsed(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    assert (entry.name, entry.base_path) == ("clothes", "memory://bucket/models/clothes")
    assert (store / "clothes" / "config.pbtxt").is_file()
