"""The manifest and the files it speaks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serving.bundle import (
    FileRecord,
    Manifest,
    Parity,
    TrainingFacts,
    read_labels,
    read_manifest,
    record_files,
    verify_files,
)
from serving.bundle_files import LABELS, MANIFEST
from serving.errors import BundleError
from serving.images import ImageSpec
from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec

RECORD = FileRecord(size_bytes=0, sha256="0" * 64)


def manifest(**changes: Any) -> Manifest:
    facts: dict[str, Any] = {
        "name": "digits",
        "task": "classification",
        "labels": ("zero", "öne"),
        "signatures": {
            DEFAULT_SIGNATURE: Signature(
                (TensorSpec("pixels", "uint8", (None, 28, 28)),), (TensorSpec("scores", "float32", (None, 2)),)
            )
        },
        "image": ImageSpec(28, 28, "grayscale"),
        "training": TrainingFacts(
            recipe="dense",
            dataset="digits",
            dataset_sha256="0" * 64,
            seed=1,
            epochs=5,
            git_revision=None,
            library_versions={"keras": "3.15.0"},
        ),
        "metrics": {"accuracy": 0.9},
        "parity": (
            Parity(runtime="onnx", reference="tensorflow", examples=10, max_abs_difference=1e-7, top1_agreement=1),
        ),
        "created_at": "2026-01-01T00:00:00+00:00",
        "files": {"model.onnx": RECORD},
    }
    return Manifest(**{**facts, **changes})


def write(folder: Path, **changes: Any) -> None:
    """A manifest as JSON, changed behind the schema's back; None takes a key out."""
    document = {**json.loads(manifest().model_dump_json()), **changes}
    (folder / MANIFEST).write_text(json.dumps({key: value for key, value in document.items() if value is not None}))


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_manifest(folder)
    return str(caught.value)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    (tmp_path / "assets").mkdir()
    (tmp_path / LABELS).write_text("cat\ndog\n")
    manifest(files=record_files(tmp_path)).write(tmp_path)
    return tmp_path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    manifest().write(tmp_path)
    assert read_manifest(tmp_path) == manifest()


def test_a_model_without_images_or_training_is_read_too(tmp_path: Path) -> None:
    plain = manifest(image=None, training=None, labels=(), metrics={}, parity=(), task="regression")
    plain.write(tmp_path)
    assert read_manifest(tmp_path) == plain


def test_a_folder_without_a_manifest_has_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema_version": 2}, "schema_version: Input should be 1"),
        ({"name": None}, "name: Field required"),
        ({"colour": "blue"}, "colour: Extra inputs are not permitted"),
        ({"task": "poetry"}, "task: Input should be 'classification' or 'regression'"),
        ({"files": {"model.onnx": {"size_bytes": -1, "sha256": "0" * 64}}}, "files.model.onnx.size_bytes: "),
        ({"files": {"model.onnx": {"size_bytes": 1, "sha256": "XYZ"}}}, "files.model.onnx.sha256: "),
        ({"image": {"height": 0, "width": 28, "colour": "rgb"}}, "image: Value error, expected a size of 1 to 16384"),
        ({"image": {"height": 28, "width": 28, "colour": "red"}}, "image.colour: "),
        (
            {"signatures": {"s": {"inputs": [{"name": "x", "dtype": "complex32", "shape": [1]}], "outputs": []}}},
            "signatures.s.inputs.0: Value error, unknown dtype 'complex32'",
        ),
    ],
)
def test_a_manifest_of_another_schema_says_where_it_differs(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    write(tmp_path, **changes)
    assert refusal(tmp_path).startswith(f"manifest.json is not valid: {reason}")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe{}", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    assert refusal(tmp_path).startswith("manifest.json is not valid: the document: ")


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../2/model.onnx", "assets/../../secret", "..", ".", "", "a\0b", "a//b", "./a", "a/", MANIFEST],
)
def test_a_file_name_that_leads_out_of_the_bundle_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, files={name: RECORD.model_dump()})
    assert "is not the relative path of a file in the bundle" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["a", "a/b", "..a", "a..", "a/..b/c", "ä ö", "a\\b"])
def test_any_other_file_name_is_taken(tmp_path: Path, name: str) -> None:
    write(tmp_path, files={name: RECORD.model_dump()})
    read = read_manifest(tmp_path)
    assert read is not None
    assert list(read.files) == [name]


def test_all_files_but_the_manifest_are_recorded(bundle: Path) -> None:
    assert list(record_files(bundle)) == ["assets/labels.txt", "model.onnx"]
    verify_files(bundle, manifest(files=record_files(bundle)))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"weightz", r"^model\.onnx has checksum [0-9a-f]{12}…, but manifest\.json expects [0-9a-f]{12}…$"),
        (b"weigh", r"^model\.onnx has 5 bytes, but manifest\.json expects 7$"),
        (None, r"^model\.onnx is missing, but manifest\.json lists it$"),
    ],
)
def test_a_damaged_file_is_named(bundle: Path, content: bytes | None, reason: str) -> None:
    if content is None:
        (bundle / "model.onnx").unlink()
    else:
        (bundle / "model.onnx").write_bytes(content)
    recorded = read_manifest(bundle)
    assert recorded is not None
    with pytest.raises(BundleError, match=reason):
        verify_files(bundle, recorded)


def test_a_folder_in_the_place_of_a_file_is_a_missing_file(bundle: Path) -> None:
    recorded = read_manifest(bundle)
    assert recorded is not None
    (bundle / "model.onnx").unlink()
    (bundle / "model.onnx").mkdir()
    with pytest.raises(BundleError, match=r"model\.onnx is missing"):
        verify_files(bundle, recorded)


def test_labels_come_from_the_manifest_else_from_their_file_else_there_are_none(bundle: Path) -> None:
    assert read_labels(bundle, read_manifest(bundle)) == ("zero", "öne")
    assert read_labels(bundle, None) == ("cat", "dog")
    (bundle / LABELS).unlink()
    assert read_labels(bundle, None) == ()


def test_labels_that_are_no_text_are_refused(bundle: Path) -> None:
    (bundle / LABELS).write_bytes(b"\xff\xfe")
    with pytest.raises(BundleError, match=r"^assets/labels\.txt is not UTF-8 text$"):
        read_labels(bundle, None)
