"""`atelier serve`: flags into settings, then the gateway until a signal."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from atelier.console import FAILED, WRONG_USE, fail, needs_extra, note

_FLAG_HELP = "Settings also come from ATELIER_… variables and [serve] in atelier.toml."


def serve(
    models: Annotated[
        Path | None,
        typer.Option(help="Folder of models, or one model's folder of numbered versions. [default: models]"),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 0.0.0.0]")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="gRPC port, 0 for any free one. [default: 8500]")] = None,
    rest_port: Annotated[int | None, typer.Option(help="REST port, 0 for any free one. [default: 8501]")] = None,
    poll_interval_s: Annotated[
        float | None, typer.Option(help="Seconds between looks for new versions; 0 looks once. [default: 1]")
    ] = None,
    max_batch_size: Annotated[int | None, typer.Option(help="Most rows in one run of a model. [default: 64]")] = None,
    batch_timeout_ms: Annotated[
        float | None, typer.Option(help="Milliseconds an idle model waits for more rows. [default: 0]")
    ] = None,
    max_queue_rows: Annotated[
        int | None, typer.Option(help="Rows that may wait for one model. [default: 4096]")
    ] = None,
    onnx_threads: Annotated[
        int | None, typer.Option(help="Threads of one model's runs; 0: one a core. [default: 0]")
    ] = None,
    max_request_bytes: Annotated[
        int | None, typer.Option(help="Largest request body in bytes. [default: 134217728]")
    ] = None,
    max_image_pixels: Annotated[int | None, typer.Option(help="Largest image in pixels. [default: 50000000]")] = None,
    drain_grace_s: Annotated[
        float | None,
        typer.Option(help="Seconds after a stop signal in which new requests are answered. [default: 1]"),
    ] = None,
    drain_timeout_s: Annotated[
        float | None, typer.Option(help="Seconds then given to requests in flight. [default: 30]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as one line of JSON.")] = False,
) -> None:
    """Serve a folder of models over TensorFlow Serving's gRPC and REST until Ctrl-C or SIGTERM."""
    flags = {name: value for name, value in locals().items() if name != "as_json" and value is not None}
    raise typer.Exit(run_gateway(flags, as_json=as_json))


serve.__doc__ = f"{serve.__doc__}\n\n{_FLAG_HELP}"


def run_gateway(flags: dict[str, Any], *, as_json: bool) -> int:
    """Runs a gateway with these settings until it is told to stop; the exit status."""
    with needs_extra("serving"):
        from pydantic import ValidationError

        from serving.server import ModelsFolderError, StartError, start, wait_for_stop
        from serving.settings import ServingSettings
    try:
        settings = ServingSettings(**flags)
    except ValidationError as error:
        first = error.errors()[0]
        setting = "_".join(str(part) for part in first["loc"])
        fail(f"setting {setting}: {first['msg']}, received {first['input']!r}", WRONG_USE)
    except tomllib.TOMLDecodeError as error:
        fail(f"atelier.toml is not valid TOML: {error}", WRONG_USE)
    try:
        with start(settings) as gateway:
            where = gateway.addresses
            if as_json:
                line = {
                    "pid": gateway.pid,
                    "host": where.host,
                    "grpc_port": where.grpc_port,
                    "rest_port": where.rest_port,
                }
                typer.echo(json.dumps(line))
            else:
                shown = "localhost" if where.host in {"0.0.0.0", "::"} else where.host  # noqa: S104
                note(f"gRPC on {shown}:{where.grpc_port}, REST and the page on http://{shown}:{where.rest_port}/")
            status = wait_for_stop(gateway)
            if status == 0 and not as_json:
                note("stopping: requests in flight are answered first")
            return status
    except ModelsFolderError as error:
        fail(str(error), WRONG_USE)
    except StartError as error:
        fail(str(error), FAILED)
