"""Looking at a model on disk: what it takes and gives, where it comes from, how it was proven; without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from export.description import Description
from export.errors import WrongUseError
from export.onnx_file import ONNX_SUFFIX, read_onnx
from export.versions import published_versions, version_folders
from serving.bundle import Manifest, TrainingFacts, read_labels, read_manifest
from serving.bundle_files import ONNX_MODEL, SAVED_MODEL
from serving.signatures import DEFAULT_SIGNATURE, Signature

Kind = Literal["bundle", "saved_model", "onnx", "run"]


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was found at `path`.

    Whatever the model does not say of itself is empty or None. `unreadable` has the signatures that cannot be served
    by name, each with its reason; `made_with` are the programs and formats that the files themselves name; `versions`
    are those of the model whose newest this is, where its folder was asked for. `manifest` is a bundle's own.
    """

    path: Path
    kind: Kind
    signatures: Mapping[str, Signature]
    description: Description
    sizes_bytes: Mapping[str, int]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    made_with: tuple[str, ...] = ()
    versions: tuple[int, ...] = ()
    training: TrainingFacts | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    manifest: Manifest | None = None


def inspect_model(path: Path) -> Inspection:
    """Looks at a bundle, a model's folder of versions, a run folder, a SavedModel's folder or an ONNX file.

    Raises:
        WrongUseError: it is none of these.
        ExportError: the model's file is damaged.
        BundleError: its manifest or its labels are.
        RunError: the run's files are.
        OSError: a file cannot be read.
    """
    from training.run import CONFIG, MODEL

    if path.suffix == ONNX_SUFFIX and path.is_file():
        return _onnx(path)
    if any((path / name).is_file() for name in (CONFIG, MODEL)):
        return _run(path)
    if not path.is_dir():
        found = "a file of another kind" if path.exists() else "nothing"
        raise WrongUseError(
            f"{path} is no model: expected a bundle, a model's folder of versions, a run folder, a SavedModel's folder "
            f"or an {ONNX_SUFFIX} file, found {found}"
        )
    folder = version_folders(path)[-1]
    versions = tuple(published_versions(path)) if folder != path else ()
    manifest = read_manifest(folder)
    if manifest is not None:
        return _bundle(folder, manifest, versions)
    return _saved_model(folder, versions) if (folder / SAVED_MODEL).is_file() else _onnx(folder / ONNX_MODEL, versions)


def _bundle(folder: Path, manifest: Manifest, versions: tuple[int, ...]) -> Inspection:
    return Inspection(
        path=folder,
        kind="bundle",
        signatures=manifest.signatures,
        description=Description(manifest.task, manifest.labels, manifest.image),
        sizes_bytes={name: record.size_bytes for name, record in manifest.files.items()},
        versions=versions,
        training=manifest.training,
        metrics=manifest.metrics,
        manifest=manifest,
    )


def _saved_model(folder: Path, versions: tuple[int, ...]) -> Inspection:
    from export.saved_model_file import read_saved_model

    facts = read_saved_model(folder)
    return Inspection(
        path=folder,
        kind="saved_model",
        signatures=facts.signatures,
        description=Description(labels=read_labels(folder, None)),
        sizes_bytes=dict(_sizes(folder)),
        unreadable=facts.unreadable,
        made_with=(f"TensorFlow {facts.tensorflow_version}",) if facts.tensorflow_version else (),
        versions=versions,
    )


def _onnx(path: Path, versions: tuple[int, ...] = ()) -> Inspection:
    facts = read_onnx(path)
    names = (path.name, *facts.data_files)
    return Inspection(
        path=path,
        kind="onnx",
        signatures={DEFAULT_SIGNATURE: facts.signature},
        description=facts.description,
        sizes_bytes={name: (path.parent / name).stat().st_size for name in names},
        made_with=(*((facts.producer,) if facts.producer else ()), f"ONNX opset {facts.opset}"),
        versions=versions,
    )


def _run(path: Path) -> Inspection:
    from export.saved_model import signature_of
    from export.sources.run import described_in, facts_of
    from training.run import read_run

    run = read_run(path)
    description = described_in(run.config)
    return Inspection(
        path=path,
        kind="run",
        signatures={DEFAULT_SIGNATURE: signature_of(description)},
        description=description,
        sizes_bytes=dict(_sizes(path)),
        training=facts_of(run.config),
        metrics={run.metrics.metric: run.metrics.value},
    )


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.stat().st_size
