"""The model bundle: the contract on disk between export, which writes it, and the gateway, which reads it.

A version folder holds the models of every runtime, its labels, and `manifest.json`, which says everything a server has
to know, with the checksum of every other file. A folder without a manifest is still a servable version: its signature
is then read from the model itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from serving.bundle_files import LABELS, MANIFEST
from serving.errors import BundleError
from serving.images import ImageSpec
from serving.signatures import Signature
from serving.validation import first_problem


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(_Record):
    """Size and checksum of one file of the bundle."""

    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


def _check_inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or path.as_posix() != name or name in {".", MANIFEST}:
        raise ValueError(f"{name!r} is not the relative path of a file in the bundle")
    return name


Task = Literal["classification", "regression"]

FileName = Annotated[str, AfterValidator(_check_inside)]
"""A relative POSIX path that stays inside of the version folder."""


class TrainingFacts(_Record):
    """Where the weights come from."""

    recipe: str
    dataset: str
    dataset_sha256: str
    seed: int
    epochs: int
    git_revision: str | None
    library_versions: dict[str, str]


class Provenance(_Record):
    """The file that the model was exported from, by its name without a folder."""

    kind: Literal["run", "keras", "saved_model", "onnx"]
    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Parity(_Record):
    """How closely one runtime answers like the reference on the same `examples` inputs.

    A classifier's has `top1_agreement`, the share of inputs for which both give the same class; another model's has
    `max_relative_difference`, whose unit is the reference's prediction, or 1 where that is smaller. `output` is named
    where the model has several. Of a data set there is the runtime's own `accuracy` or `mean_absolute_error`; latencies
    are medians, in milliseconds, of a whole batch of 1 and of 32 rows on the machine that published; `size_bytes` is of
    the runtime's files.
    """

    runtime: str
    reference: str
    output: str | None = None
    examples: int = Field(ge=1)
    max_abs_difference: float = Field(ge=0)
    top1_agreement: float | None = Field(default=None, ge=0, le=1)
    max_relative_difference: float | None = Field(default=None, ge=0)
    accuracy: float | None = Field(default=None, ge=0, le=1)
    mean_absolute_error: float | None = Field(default=None, ge=0)
    latency_ms_batch_1: float | None = Field(default=None, ge=0)
    latency_ms_batch_32: float | None = Field(default=None, ge=0)
    size_bytes: int | None = Field(default=None, ge=0)


class Manifest(_Record):
    """Everything a server has to know about one version, `manifest.json`.

    `task` is None for a model of which only its tensors are known. `allowed` has the bounds that were loosened on
    purpose when it was published, by their names for `--allow`.
    """

    schema_version: Literal[1] = 1
    name: str
    task: Task | None
    labels: tuple[str, ...]
    signatures: dict[str, Signature]
    image: ImageSpec | None
    provenance: Provenance | None = None
    training: TrainingFacts | None
    metrics: dict[str, float]
    parity: tuple[Parity, ...]
    allowed: dict[str, float] = {}
    created_at: str
    files: dict[FileName, FileRecord]

    def write(self, version_dir: Path) -> None:
        """Writes `manifest.json` into the folder."""
        (version_dir / MANIFEST).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_manifest(version_dir: Path) -> Manifest | None:
    """The folder's manifest, or None where it has none.

    Raises:
        BundleError: the file is there, but is no manifest of a schema this release reads.
    """
    try:
        content = (version_dir / MANIFEST).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise BundleError(f"{MANIFEST} is not valid: {first_problem(error)}") from error


def read_labels(version_dir: Path, manifest: Manifest | None) -> tuple[str, ...]:
    """Class names in the order of the scores: the manifest's, else `assets/labels.txt`, else none.

    Raises:
        BundleError: the file is not text.
    """
    if manifest is not None:
        return manifest.labels
    try:
        return tuple((version_dir / LABELS).read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return ()
    except UnicodeDecodeError as error:
        raise BundleError(f"{LABELS} is not UTF-8 text") from error


def bundle_files(version_dir: Path) -> Iterator[Path]:
    """Every file of the bundle but the manifest, sorted by path."""
    return (path for path in sorted(version_dir.rglob("*")) if path.is_file() and path != version_dir / MANIFEST)


def record_files(version_dir: Path) -> dict[str, FileRecord]:
    """Sizes and checksums of the bundle's files, by relative POSIX path."""
    return {path.relative_to(version_dir).as_posix(): _record(path) for path in bundle_files(version_dir)}


def verify_files(version_dir: Path, manifest: Manifest) -> None:
    """Holds every file that the manifest names against its size and checksum.

    Raises:
        BundleError: a file is missing, or differs from what was published.
    """
    for name, expected in manifest.files.items():
        path = version_dir / name
        if not path.is_file():
            raise BundleError(f"{name} is missing, but {MANIFEST} lists it")
        size_bytes = path.stat().st_size
        if size_bytes != expected.size_bytes:
            raise BundleError(f"{name} has {size_bytes} bytes, but {MANIFEST} expects {expected.size_bytes}")
        received = _record(path).sha256
        if received != expected.sha256:
            raise BundleError(f"{name} has checksum {received[:12]}…, but {MANIFEST} expects {expected.sha256[:12]}…")


def file_sha256(path: Path) -> str:
    """The checksum of one file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record(path: Path) -> FileRecord:
    return FileRecord(size_bytes=path.stat().st_size, sha256=file_sha256(path))
