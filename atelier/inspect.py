"""`atelier inspect` and `atelier verify`: what a model on disk is, and whether it still is what was published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atelier.console import FAILED, fail, plain_console, print_json, words
from atelier.errors import export_errors
from atelier.options import AsJson
from atelier.parity import print_parity

if TYPE_CHECKING:
    from export.inspection import Inspection
    from serving.bundle import TrainingFacts

ModelPath = Annotated[
    str,
    typer.Argument(
        metavar="PATH",
        help="A version's folder, such as models/fashion-mnist/3, its model's, or its address in a store; "
        "a run folder, a SavedModel's folder, or an ONNX file.",
    ),
]
VersionPath = Annotated[
    str,
    typer.Argument(
        metavar="PATH",
        help="A version's folder, such as models/fashion-mnist/3, its model's, or its address in a store.",
    ),
]


def inspect(path: ModelPath, as_json: AsJson = False) -> None:
    """Show what a model takes and gives, where it comes from, and how it was proven.

    Given a model's folder, the newest version of it.
    """
    with export_errors(), _location(path) as location:
        from export.inspection import inspect_model

        found = inspect_model(location)
    if as_json:
        print_json(_document(found))
    else:
        _print(found)


def verify(
    path: VersionPath,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also load every model in it, in the runtime it is for, and have it answer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Hold every file of a version, or of all versions of a model, against its checksum.

    Exit code 1: something does not fit.
    """
    with export_errors(), _location(path) as location:
        from export.parity_report import format_size
        from export.verification import check_version
        from export.versions import version_folders

        checks = [check_version(version_dir, deep=deep) for version_dir in version_folders(location)]
    failed = [check for check in checks if check.reason is not None]
    if as_json:
        versions = [
            {
                "path": str(check.path),
                "intact": check.reason is None,
                "files": check.files,
                "size_bytes": check.size_bytes,
                "runtimes": list(check.runtimes),
                "reason": check.reason,
            }
            for check in checks
        ]
        print_json({"intact": not failed, "versions": versions})
    else:
        for check in checks:
            if check.reason is None:
                answered = f", answered by {' and '.join(check.runtimes)}" if check.runtimes else ""
                typer.echo(
                    f"{check.path}: {check.files} files, {format_size(check.size_bytes)}, as published{answered}"
                )
    if failed:
        fail("; ".join(f"{check.path}: {check.reason}" for check in failed), FAILED)


@contextmanager
def _location(address: str) -> Iterator[Path]:
    """The folder or the address in a store that was named; inside, a store's refusals are sentences."""
    from export.location import parse_location, store_sentences

    location = parse_location(address)
    with store_sentences(location):
        yield location


def _document(found: Inspection) -> dict[str, Any]:
    from pydantic import TypeAdapter

    head = {"path": str(found.path), "kind": found.kind, "versions": list(found.versions)}
    if found.manifest is not None:
        return {**head, **found.manifest.model_dump(mode="json")}
    description = TypeAdapter(type(found.description)).dump_python(found.description, mode="json")
    signatures = {
        name: TypeAdapter(type(signature)).dump_python(signature, mode="json")
        for name, signature in found.signatures.items()
    }
    return {
        **head,
        **description,
        "signatures": signatures,
        "unreadable_signatures": dict(found.unreadable),
        "training": None if found.training is None else found.training.model_dump(mode="json"),
        "metrics": dict(found.metrics),
        "made_with": list(found.made_with),
        "files": {name: {"size_bytes": size_bytes} for name, size_bytes in found.sizes_bytes.items()},
    }


_TITLES = {"saved_model": "a SavedModel without a manifest", "onnx": "an ONNX file", "run": "a run of atelier train"}


def _print(found: Inspection) -> None:
    manifest, description = found.manifest, found.description
    title = _TITLES.get(found.kind) if manifest is None else manifest.name
    made = "" if manifest is None else f", made {manifest.created_at}"
    typer.echo(f"{found.path}: {title}, {description.task or 'of unknown task'}{made}")
    if found.versions:
        typer.echo(f"Versions: {', '.join(map(str, found.versions))}")
    _print_signatures(found)
    if description.labels:
        typer.echo(f"Labels ({len(description.labels)}): {', '.join(description.labels)}")
    if description.image is not None:
        image = description.image
        typer.echo(f"Images: {image.height} x {image.width} {image.colour}, resized {image.resize}")
    if found.made_with:
        typer.echo(f"Made with: {', '.join(found.made_with)}")
    if manifest is not None and manifest.provenance is not None:
        provenance = manifest.provenance
        typer.echo(f"From: {provenance.file}, {words(provenance.kind)} ({provenance.sha256[:12]}…)")
    if found.training is not None:
        typer.echo(_training(found.training))
    for metric, value in found.metrics.items():
        measured = "In training" if manifest is None else "Before it was published"
        typer.echo(f"{measured}: {words(metric)} {value:.4f}")
    if manifest is not None:
        print_parity(manifest)
    _print_files(found)


def _print_signatures(found: Inspection) -> None:
    from rich.table import Table

    from serving.signatures import format_shape

    table = Table("signature", "", "tensor", "dtype", "shape")
    for signature_name, signature in found.signatures.items():
        for role, tensors in (("in", signature.inputs), ("out", signature.outputs)):
            for tensor in tensors:
                table.add_row(signature_name, role, tensor.name, tensor.dtype, format_shape(tensor.shape))
    plain_console().print(table)
    for signature_name, reason in found.unreadable.items():
        typer.echo(f"Signature {signature_name} cannot be served: {reason}")


def _training(facts: TrainingFacts) -> str:
    epochs = "1 epoch" if facts.epochs == 1 else f"{facts.epochs} epochs"
    return (
        f"Trained: {facts.recipe} on {facts.dataset} ({facts.dataset_sha256[:12]}…), "
        f"{epochs}, seed {facts.seed}, code {facts.git_revision or 'unknown'}"
    )


def _print_files(found: Inspection) -> None:
    from rich.table import Table

    from export.parity_report import format_size

    records = {} if found.manifest is None else found.manifest.files
    table = Table("file", "size", *(["sha256"] if records else []))
    for name, size_bytes in found.sizes_bytes.items():
        checksum = [f"{records[name].sha256[:12]}…"] if name in records else []
        table.add_row(name, format_size(size_bytes), *checksum)
    plain_console().print(table)
