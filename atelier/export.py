"""`atelier export`, `atelier inspect`, `atelier verify`: from a run to a published version, and looking at it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from atelier.console import FAILED, WRONG_USE, fail, needs_extra, plain_console, sentences
from atelier.parity import evidence_json, print_evidence, print_parity

if TYPE_CHECKING:
    from export.exporter import Exported, ParityError
    from export.limits import Limits
    from serving.bundle import Manifest

Task = Literal["classification", "regression"]
Colour = Literal["grayscale", "rgb"]
PixelRange = Literal["0..1", "-1..1", "0..255"]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
VersionPath = Annotated[
    str,
    typer.Argument(
        metavar="PATH",
        help="A version's folder, such as models/clothes/3 or s3://bucket/models/clothes/3, or its model's.",
    ),
]


def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="The folder that `atelier train` wrote, a .keras file, a SavedModel's folder, or an ONNX file.",
        ),
    ],
    models: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            help="The repository to publish in, made where it does not exist: a folder, or an address in a store "
            "such as s3://bucket/models.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            help="The model's name in the repository.",
            show_default="a run's data set, its folder of own images, or the file's name",
        ),
    ] = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="The number to publish as.", show_default="the next free one")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where a run's data set is.", show_default="where the run found it"),
    ] = None,
    task: Annotated[
        Task | None, typer.Option(help="What the model does.", show_default="classification if it has labels or images")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAMES", help="The names of its classes: a file with one a line, or a comma between them."
        ),
    ] = None,
    image_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Its images in pixels: 28, or height x width as 24x32.")
    ] = None,
    colour: Annotated[Colour, typer.Option(help="Its images' colour.")] = "grayscale",
    pixels: Annotated[
        PixelRange | None,
        typer.Option(help="What a .keras model has black and white for: publish it as taking uint8 pixels, 0 to 255."),
    ] = None,
    onnx: Annotated[bool, typer.Option(help="Convert to ONNX where that is possible, or not at all.")] = True,
    allow: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE",
            help="Loosen a bound on purpose, such as int8-agreement=0.98; it is noted in the manifest.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 - typer makes a new one
    as_json: AsJson = False,
) -> None:
    """Publish a model as a SavedModel and an ONNX model, after proving that both answer alike.

    A run says itself what it is; of other models say it with --task, --labels, --image-size and --colour. Exit code 1:
    the two do not answer alike, or the model cannot be exported; nothing is published then.
    """
    started = time.perf_counter()
    with _sentences():
        from export.description import describe
        from export.exporter import ParityError, export_model
        from export.limits import parse_allowed
        from export.location import parse_location
        from export.sources.opening import open_source

        repository, limits = parse_location(models), parse_allowed(allow)
        # The reference is what the CPU answers: a GPU's reduced precision alone could exceed the bound.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        opened = open_source(
            source,
            given=describe(task=task, labels=labels, image_size=image_size, colour=colour),
            pixels=pixels,
            data_dir=data,
            with_onnx=onnx,
        )
        try:
            with plain_console(stderr=True).status("starting") as status:
                exported = export_model(
                    opened, repository, name=name, version=version, limits=limits, progress=status.update
                )
        except ParityError as error:
            _print_refused(error, limits, as_json=as_json)
            raise
    _print_exported(exported, limits, seconds=time.perf_counter() - started, as_json=as_json)


def inspect(path: VersionPath, as_json: AsJson = False) -> None:
    """Show what a published version takes and gives, where it comes from, and how it was proven.

    Given a model's folder, the newest version of it.
    """
    with _sentences(), _location(path) as location:
        from export.inspection import version_folders
        from serving.bundle import MANIFEST, read_manifest
        from serving.errors import BundleError

        version_dir = version_folders(location)[-1]
        manifest = read_manifest(version_dir)
        if manifest is None:
            raise BundleError(f"{version_dir} has no {MANIFEST}")
    if as_json:
        _print_json({"path": str(version_dir), **manifest.model_dump(mode="json")})
    else:
        _print_manifest(version_dir, manifest)


def verify(path: VersionPath, as_json: AsJson = False) -> None:
    """Hold every file of a version, or of all versions of a model, against its checksum.

    Exit code 1: something does not fit.
    """
    with _sentences(), _location(path) as location:
        from export.inspection import check_version, version_folders
        from export.parity_report import format_size

        checks = [check_version(version_dir) for version_dir in version_folders(location)]
    failed = [check for check in checks if check.reason is not None]
    if as_json:
        versions = [
            {
                "path": str(check.path),
                "intact": check.reason is None,
                "files": check.files,
                "size_bytes": check.size_bytes,
                "reason": check.reason,
            }
            for check in checks
        ]
        _print_json({"intact": not failed, "versions": versions})
    else:
        for check in checks:
            if check.reason is None:
                typer.echo(f"{check.path}: {check.files} files, {format_size(check.size_bytes)}, as published")
    if failed:
        fail("; ".join(f"{check.path}: {check.reason}" for check in failed), FAILED)


@contextmanager
def _location(address: str) -> Iterator[Path]:
    """The folder or the address in a store that was named; inside, a store's refusals are sentences."""
    from export.location import parse_location, store_sentences

    location = parse_location(address)
    with store_sentences(location):
        yield location


@contextmanager
def _sentences() -> Iterator[None]:
    """Turns the known causes into one sentence on stderr and an exit code."""
    from export.errors import ExportError, WrongUseError
    from serving.errors import BundleError
    from training.errors import RunError, TrainingError, UsageError

    statuses = {
        WrongUseError: WRONG_USE,
        UsageError: WRONG_USE,
        RunError: WRONG_USE,
        ExportError: FAILED,
        TrainingError: FAILED,
        BundleError: FAILED,
    }
    with needs_extra("training,export"), sentences(statuses, interrupted="interrupted; nothing was published"):
        yield


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _print_refused(error: ParityError, limits: Limits, *, as_json: bool) -> None:
    if as_json:
        _print_json({"published": False, "reason": str(error), **evidence_json(error.evidence, limits)})
    else:
        print_evidence(error.evidence, limits)


def _print_exported(exported: Exported, limits: Limits, *, seconds: float, as_json: bool) -> None:
    from export.parity_report import format_size

    manifest = exported.manifest
    size_bytes = sum(record.size_bytes for record in manifest.files.values())
    if as_json:
        _print_json(
            {
                "published": True,
                "name": manifest.name,
                "version": exported.version,
                "path": str(exported.path),
                "size_bytes": size_bytes,
                "seconds": round(seconds, 3),
                "notes": list(exported.notes),
                **evidence_json(exported.evidence, limits),
            }
        )
        return
    print_evidence(exported.evidence, limits)
    typer.echo(
        f"Published version {exported.version} of {manifest.name} in {exported.path} "
        f"({format_size(size_bytes)}, {seconds:.1f} s)"
    )
    for note in exported.notes:
        typer.echo(f"Note: {note}")


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _print_manifest(version_dir: Path, manifest: Manifest) -> None:
    from export.parity_report import format_size
    from serving.signatures import format_shape

    console = plain_console()
    typer.echo(f"{version_dir}: {manifest.name}, {manifest.task}, made {manifest.created_at}")
    signatures = Table("signature", "", "tensor", "dtype", "shape")
    for signature_name, signature in manifest.signatures.items():
        for role, tensors in (("in", signature.inputs), ("out", signature.outputs)):
            for tensor in tensors:
                signatures.add_row(signature_name, role, tensor.name, tensor.dtype, format_shape(tensor.shape))
    console.print(signatures)
    if manifest.labels:
        typer.echo(f"Labels ({len(manifest.labels)}): {', '.join(manifest.labels)}")
    if manifest.image is not None:
        image = manifest.image
        typer.echo(f"Images: {image.height} x {image.width} {image.colour}, resized {image.resize}")
    if manifest.training is not None:
        facts = manifest.training
        epochs = "1 epoch" if facts.epochs == 1 else f"{facts.epochs} epochs"
        typer.echo(
            f"Trained: {facts.recipe} on {facts.dataset} ({facts.dataset_sha256[:12]}…), "
            f"{epochs}, seed {facts.seed}, code {facts.git_revision or 'unknown'}"
        )
    for metric, value in manifest.metrics.items():
        typer.echo(f"Before it was published: {_words(metric)} {value:.4f}")
    print_parity(manifest)
    files = Table("file", "size", "sha256")
    for file_name, record in manifest.files.items():
        files.add_row(file_name, format_size(record.size_bytes), f"{record.sha256[:12]}…")
    console.print(files)
