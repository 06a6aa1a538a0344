"""The one use case: a model becomes a published version, if every runtime answers alike.

source   gives the model and what is known about it     sources/
targets  are written into a staging folder              keras_model.py, saved_model.py, onnx_model.py, targets/
gate     holds the written files against the original   gate.py, evidence.py, verdict.py
publish  makes the folder a version, by one rename      publish.py, repository_files.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from export.errors import ExportError
from export.evidence import Evidence
from export.gate import gather_evidence
from export.limits import Limits
from export.parity_report import write_report
from export.publish import check_target, stage
from export.repository_files import write_repository_files
from export.sources.base import Original, Progress, Source
from export.targets import Target
from serving.bundle import Manifest, record_files
from serving.errors import BundleError


class ParityError(ExportError):
    """The runtimes do not answer alike, or not like the model that was trained; nothing was published."""

    def __init__(self, reason: str, evidence: Evidence) -> None:
        super().__init__(f"nothing was published: {reason}")
        self.evidence = evidence


@dataclass(frozen=True)
class Exported:
    """A published version and the evidence for it.

    `notes` are sentences on what it lacks, and on files beside it that were not written; each with the reason.
    """

    path: Path
    version: int
    manifest: Manifest
    evidence: Evidence
    notes: tuple[str, ...] = ()


def export_model(
    source: Source,
    models_dir: Path,
    *,
    name: str | None = None,
    version: int | None = None,
    targets: Sequence[Target] = (),
    limits: Limits = Limits(),  # noqa: B008 - frozen
    progress: Progress = lambda _: None,
) -> Exported:
    """Writes every target of the source's model into a staged bundle, proves them equal, and publishes it.

    Args:
        source: where the model comes from.
        models_dir: the repository's root; made where it does not exist.
        name: the model's name in the repository; the source's when None.
        version: the number to publish as; the next free one when None.
        targets: the formats to write beside those that every model is written in.
        limits: how far the runtimes may differ.
        progress: told about each step.

    Raises:
        ParityError: refused; nothing is left in the repository.
        WrongUseError: no model's name, a version that exists, or a target that this model cannot have.
        ExportError: the model cannot be exported, the data set is another one, or the disk refuses.
        TrainingError: a run's model or data set cannot be loaded.
    """
    name = name if name is not None else source.name
    check_target(models_dir, name, version)
    try:
        with stage(models_dir, name) as staging:
            original = _load(source, progress)
            for target in targets:
                target.check(original)
            notes = original.model.write(staging.bundle, original, progress)
            for target in targets:
                progress(target.progress)
                target.write(staging.bundle, original)
            evidence = _pass_gate(staging.bundle, original, limits, progress)
            progress("publishing")
            write_report(staging.bundle, evidence, limits)
            manifest = _make_manifest(name, original, evidence, limits, staging.bundle)
            manifest.write(staging.bundle)
            path = staging.publish(version)
            notes += write_repository_files(models_dir, manifest, staging.bundle.parent)
    except OSError as error:
        raise ExportError(f"{error.filename or models_dir} cannot be written: {error.strerror or error}") from error
    except BundleError as error:
        raise ExportError(f"nothing was published: the written bundle is damaged: {error}") from error
    return Exported(path, int(path.name), manifest, evidence, notes)


def _load(source: Source, progress: Progress) -> Original:
    try:
        return source.load(progress)
    except OSError as error:
        raise ExportError(f"{error.filename or 'the model'} cannot be read: {error.strerror or error}") from error
    except BundleError as error:
        raise ExportError(f"the model's own files are damaged: {error}") from error


def _pass_gate(bundle: Path, original: Original, limits: Limits, progress: Progress) -> Evidence:
    if original.examples is None:
        progress("comparing the runtimes on random and extreme inputs")
    else:
        split_name, split = original.examples.dataset.evaluation
        progress(f"comparing the runtimes on the {split_name} split of {len(split):,}")
    evidence = gather_evidence(bundle, original, limits)
    reason = evidence.refusal(limits)
    if reason is not None:
        raise ParityError(reason, evidence)
    return evidence


def _make_manifest(name: str, original: Original, evidence: Evidence, limits: Limits, bundle: Path) -> Manifest:
    return Manifest(
        name=name,
        task=original.description.task,
        labels=original.description.labels,
        signatures=dict(original.model.signatures),
        image=original.description.image,
        provenance=original.provenance,
        training=original.training,
        metrics=evidence.metrics,
        parity=evidence.parities,
        allowed=limits.allowed,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        files=record_files(bundle),
    )
