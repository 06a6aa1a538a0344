"""`atelier export`: from a model to a published version."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from atelier.console import plain_console, print_json
from atelier.errors import export_errors
from atelier.options import AsJson
from atelier.parity import evidence_json, print_evidence

if TYPE_CHECKING:
    from export.exporter import Exported, ParityError
    from export.limits import Limits

Task = Literal["classification", "regression"]
Colour = Literal["grayscale", "rgb"]
PixelRange = Literal["0..1", "-1..1", "0..255"]


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
    colour: Annotated[
        Colour | None, typer.Option(help="Its images' colour.", show_default="grayscale, where there is a size")
    ] = None,
    pixels: Annotated[
        PixelRange | None,
        typer.Option(help="What a .keras model has black and white for: publish it as taking uint8 pixels, 0 to 255."),
    ] = None,
    onnx: Annotated[bool, typer.Option(help="Convert to ONNX where that is possible, or not at all.")] = True,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantize to 8 bits too, calibrated on training images: model.int8.onnx.")
    ] = False,
    tflite: Annotated[bool, typer.Option("--tflite", help="Convert to TensorFlow Lite too: model.tflite.")] = False,
    allow: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE",
            help="Loosen a bound on purpose, such as int8-agreement=0.98; it is noted in the manifest.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 -- typer makes a new one
    as_json: AsJson = False,
) -> None:
    """Publish a model as a SavedModel and an ONNX model, after proving that both answer alike.

    A run says itself what it is; of other models say it with --task, --labels, --image-size and --colour. Exit code 1:
    the two do not answer alike, or the model cannot be exported; nothing is published then.
    """
    started = time.perf_counter()
    with export_errors():
        from export.description import describe
        from export.exporter import ParityError, export_model
        from export.limits import parse_allowed
        from export.location import parse_location
        from export.sources.opening import open_source
        from export.targets.int8 import Int8
        from export.targets.tflite import TFLite

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
                    opened,
                    repository,
                    name=name,
                    version=version,
                    targets=[*([Int8()] if int8 else []), *([TFLite()] if tflite else [])],
                    limits=limits,
                    progress=status.update,
                )
        except ParityError as error:
            _print_refused(error, limits, as_json=as_json)
            raise
    _print_exported(exported, limits, seconds=time.perf_counter() - started, as_json=as_json)


def _print_refused(error: ParityError, limits: Limits, *, as_json: bool) -> None:
    if as_json:
        print_json({"published": False, "reason": str(error), **evidence_json(error.evidence, limits)})
    else:
        print_evidence(error.evidence, limits)


def _print_exported(exported: Exported, limits: Limits, *, seconds: float, as_json: bool) -> None:
    from export.parity_report import format_size

    manifest = exported.manifest
    size_bytes = sum(record.size_bytes for record in manifest.files.values())
    if as_json:
        print_json(
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
