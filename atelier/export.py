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

if TYPE_CHECKING:
    from export.evidence import Evidence
    from export.exporter import Exported
    from serving.bundle import Manifest, Parity

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
        from export.location import parse_location
        from export.sources.opening import open_source

        repository = parse_location(models)
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
                exported = export_model(opened, repository, name=name, version=version, progress=status.update)
        except ParityError as error:
            _print_refused(error.evidence, str(error), as_json=as_json)
            raise
    _print_exported(exported, seconds=time.perf_counter() - started, as_json=as_json)


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
                typer.echo(f"{check.path}: {check.files} files, {_size(check.size_bytes)}, as published")
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


def _print_refused(evidence: Evidence, reason: str, *, as_json: bool) -> None:
    if as_json:
        _print_json({"published": False, "reason": reason, **_evidence_json(evidence)})
    else:
        _print_evidence(evidence)


def _print_exported(exported: Exported, *, seconds: float, as_json: bool) -> None:
    manifest, evidence = exported.manifest, exported.evidence
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
                **_evidence_json(evidence),
            }
        )
        return
    _print_evidence(evidence)
    typer.echo(
        f"Published version {exported.version} of {manifest.name} in {exported.path} "
        f"({_size(size_bytes)}, {seconds:.1f} s)"
    )
    for note in exported.notes:
        typer.echo(f"Note: {note}")


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    def figures(parity: Parity) -> dict[str, Any]:
        return dict(parity.model_dump(mode="json", exclude_none=True))

    answer: dict[str, Any] = {
        "parity": [figures(parity) for parity in evidence.parities],
        "parity_by_inputs": [
            {"inputs": comparison.inputs, **figures(comparison.parity)} for comparison in evidence.comparisons
        ],
        "left_out": dict(evidence.left_out),
    }
    quality = evidence.quality
    if quality is not None:
        answer |= {
            "evaluated_on": quality.evaluated_on,
            "examples": quality.examples,
            quality.metric: dict(quality.measured),
            f"recorded_{quality.metric}": quality.recorded,
        }
    return answer


def _print_evidence(evidence: Evidence) -> None:
    console = plain_console()
    for parity in evidence.parities:
        console.print(_parity_table(parity, evidence))
    for title, reason in evidence.left_out.items():
        typer.echo(f"Not compared: {title}, which {reason}")
    quality = evidence.quality
    if quality is None:
        typer.echo("There is no data set to compare on: random and extreme inputs only")
        return
    measured = ", ".join(f"{runtime} {value:.4f}" for runtime, value in quality.measured.items())
    typer.echo(
        f"{_words(quality.metric).capitalize()} on the {quality.examples:,} {quality.evaluated_on} examples: "
        f"{measured}; in training {quality.recorded:.4f}"
    )


def _parity_table(parity: Parity, evidence: Evidence) -> Table:
    """One runtime's rows for one output, and their total."""
    of_output = "" if parity.output is None else f": {parity.output}"
    table = Table(title=f"{parity.runtime} held against {parity.reference}{of_output}", title_justify="left")
    table.add_column("inputs")
    for heading in ("examples", *_parity_figures(parity)):
        table.add_column(heading, justify="right")
    rows = [
        (comparison.inputs, comparison.parity)
        for comparison in evidence.comparisons
        if (comparison.parity.runtime, comparison.parity.output) == (parity.runtime, parity.output)
    ]
    for inputs, found in [*rows, ("all of them", parity)]:
        table.add_row(inputs, f"{found.examples:,}", *_parity_figures(found).values())
    return table


def _parity_figures(parity: Parity) -> dict[str, str]:
    figures = {"largest difference": f"{parity.max_abs_difference:.2e}"}
    if parity.max_relative_difference is not None:
        figures["relative difference"] = f"{parity.max_relative_difference:.2e}"
    if parity.top1_agreement is not None:
        figures["same top class"] = f"{parity.top1_agreement:.4%}"
    return figures


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _print_manifest(version_dir: Path, manifest: Manifest) -> None:
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
    for parity in manifest.parity:
        figures = ", ".join(f"{heading} {figure}" for heading, figure in _parity_figures(parity).items())
        typer.echo(f"Parity: {parity.runtime} and {parity.reference} on {parity.examples:,} inputs: {figures}")
    files = Table("file", "size", "sha256")
    for file_name, record in manifest.files.items():
        files.add_row(file_name, _size(record.size_bytes), f"{record.sha256[:12]}…")
    console.print(files)


def _size(size_bytes: int) -> str:
    kib, mib = 1024, 1024**2
    if size_bytes < kib:
        return f"{size_bytes} B"
    return f"{size_bytes / kib:.1f} KiB" if size_bytes < mib else f"{size_bytes / mib:.1f} MiB"
