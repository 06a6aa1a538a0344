"""`atelier serve`: flags into settings, then the gateway until a signal."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from atelier.console import FAILED, WRONG_USE, fail, needs_extra, note, sentences

_FLAG_HELP = r"Settings also come from ATELIER_… variables and \[serve] in atelier.toml."


def serve(
    models: Annotated[
        str | None,
        typer.Option(
            help="Folder of models, or one model's folder of numbered versions; also s3://… or gs://…",
            show_default="models",
        ),
    ] = None,
    model_config_file: Annotated[
        Path | None,
        typer.Option(help="TensorFlow Serving's models.config, instead of --models.", show_default="none"),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on.", show_default="0.0.0.0"),  # noqa: S104 -- only shown here
    ] = None,
    grpc_port: Annotated[int | None, typer.Option(help="gRPC port, 0 for any free one.", show_default="8500")] = None,
    rest_port: Annotated[int | None, typer.Option(help="REST port, 0 for any free one.", show_default="8501")] = None,
    tls_certificate_file: Annotated[
        Path | None, typer.Option(help="Certificate (PEM) for TLS on both ports.", show_default="none")
    ] = None,
    tls_key_file: Annotated[
        Path | None, typer.Option(help="The key of that certificate (PEM).", show_default="none")
    ] = None,
    tls_client_ca_file: Annotated[
        Path | None,
        typer.Option(help="CA (PEM) that has to have signed what clients show (mTLS).", show_default="none"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that answer, on the same ports.", show_default="1")
    ] = None,
    hang_timeout_s: Annotated[
        float | None,
        typer.Option(help="Seconds without a sign of life before a worker is killed; 0: never.", show_default="30.0"),
    ] = None,
    poll_interval_s: Annotated[
        float | None, typer.Option(help="Seconds between looks for new versions; 0 looks once.", show_default="1.0")
    ] = None,
    label_poll_interval_s: Annotated[
        float | None,
        typer.Option(help="Seconds between looks for moved labels and traffic.", show_default="0.25"),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for changed labels and traffic, not beside the versions.", show_default="none"),
    ] = None,
    store_poll_interval_s: Annotated[
        float | None, typer.Option(help="Seconds between looks into a store.", show_default="10.0")
    ] = None,
    model_cache_dir: Annotated[
        Path | None, typer.Option(help="Folder for versions fetched from stores.", show_default="none")
    ] = None,
    max_parallel_loads: Annotated[
        int | None, typer.Option(help="Versions that are loaded at once.", show_default="4")
    ] = None,
    max_batch_size: Annotated[
        int | None, typer.Option(help="Most rows in one run of a model.", show_default="64")
    ] = None,
    batch_timeout_ms: Annotated[
        float | None, typer.Option(help="Milliseconds an idle model waits for more rows.", show_default="0.0")
    ] = None,
    allowed_batch_sizes: Annotated[
        str | None,
        typer.Option(metavar="ROWS,ROWS,…", help="Sizes that batches are padded up to.", show_default="none"),
    ] = None,
    instances: Annotated[
        int | None, typer.Option(help="Batches of one model that run at once.", show_default="1")
    ] = None,
    max_queue_rows: Annotated[
        int | None, typer.Option(help="Rows that may wait for one model.", show_default="4096")
    ] = None,
    max_queue_bytes: Annotated[
        int | None, typer.Option(help="Bytes of inputs that may wait for one model.", show_default="268435456")
    ] = None,
    max_queue_wait_ms: Annotated[
        float | None,
        typer.Option(help="Milliseconds of waiting above which requests are refused.", show_default="5000.0"),
    ] = None,
    slo_ms: Annotated[
        float | None,
        typer.Option(help="Milliseconds that waiting and running shall take at most.", show_default="none"),
    ] = None,
    low_priority_share: Annotated[
        float | None, typer.Option(help="Part of a busy model that low-priority requests get.", show_default="0.1")
    ] = None,
    overload_status: Annotated[
        str | None,
        typer.Option(
            metavar="STATUS",
            help="What the refused are told: resource-exhausted (429), or unavailable (503) as by TensorFlow Serving.",
            show_default="resource-exhausted",
        ),
    ] = None,
    client_header: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Header that tells clients apart; else addresses do.", show_default="none"),
    ] = None,
    batching_parameters_file: Annotated[
        Path | None, typer.Option(help="TensorFlow Serving's batching parameters; they win.", show_default="none")
    ] = None,
    inline_limit_us: Annotated[
        float | None,
        typer.Option(help="Microseconds of CPU above which a run gets a thread of its own.", show_default="500.0"),
    ] = None,
    onnx_threads: Annotated[
        int | None,
        typer.Option(
            help="Threads of one model's runs; 0: one if it is quick, else its share of the cores.", show_default="0"
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            help="What runs models that say nothing else: onnx, tensorflow (in process), or tfserving (other servers).",
            show_default="onnx",
        ),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Which ONNX model of a bundle runs: float32 or int8.", show_default="float32")
    ] = None,
    tensorflow_threads: Annotated[
        int | None, typer.Option(help="Threads of one SavedModel's runs; 0: TensorFlow's choice.", show_default="0")
    ] = None,
    tfserving_addresses: Annotated[
        list[str] | None,
        typer.Option(
            "--tfserving-address",
            metavar="HOST:PORT",
            help="A TensorFlow Serving server for the back end tfserving; repeatable.",
            show_default="none",
        ),
    ] = None,
    tfserving_models: Annotated[
        list[str] | None,
        typer.Option(
            "--tfserving-model",
            metavar="NAME",
            help="A model that those servers have, beside the folders in --models; repeatable.",
            show_default="none",
        ),
    ] = None,
    tfserving_tls: Annotated[
        bool | None,
        typer.Option("--tfserving-tls", help="TLS to those servers; plain text without it.", show_default="False"),
    ] = None,
    tfserving_ca_file: Annotated[
        Path | None, typer.Option(help="Their CA's certificates (PEM), where not the system's.", show_default="none")
    ] = None,
    tfserving_certificate_file: Annotated[
        Path | None, typer.Option(help="The gateway's certificate for them (PEM).", show_default="none")
    ] = None,
    tfserving_key_file: Annotated[
        Path | None, typer.Option(help="The key of that certificate (PEM).", show_default="none")
    ] = None,
    tfserving_server_name: Annotated[
        str | None, typer.Option(help="The name in their certificates, where not the address.", show_default="none")
    ] = None,
    max_request_bytes: Annotated[
        int | None, typer.Option(help="Largest request body in bytes.", show_default="134217728")
    ] = None,
    max_inflight_bytes: Annotated[
        int | None,
        typer.Option(
            help="Bytes that all requests may have that are being received or answered.", show_default="1073741824"
        ),
    ] = None,
    max_json_bytes: Annotated[
        int | None, typer.Option(help="Largest JSON body in bytes.", show_default="16777216")
    ] = None,
    max_json_lists: Annotated[
        int | None, typer.Option(help="Most lists in one JSON body.", show_default="1000000")
    ] = None,
    max_json_objects: Annotated[
        int | None, typer.Option(help="Most objects in one JSON body.", show_default="65536")
    ] = None,
    max_connections: Annotated[
        int | None, typer.Option(help="Connections open at once; more are closed.", show_default="10000")
    ] = None,
    request_timeout_s: Annotated[
        float | None, typer.Option(help="Seconds in which a request has to arrive whole.", show_default="120.0")
    ] = None,
    idle_timeout_s: Annotated[
        float | None, typer.Option(help="Seconds that a connection without requests is kept.", show_default="900.0")
    ] = None,
    max_image_pixels: Annotated[
        int | None, typer.Option(help="Largest image in pixels.", show_default="50000000")
    ] = None,
    max_image_cpu_s: Annotated[
        float | None, typer.Option(help="Seconds of processor time to decode one image.", show_default="10.0")
    ] = None,
    max_request_images: Annotated[
        int | None, typer.Option(help="Most images in one request.", show_default="128")
    ] = None,
    max_queue_images: Annotated[
        int | None, typer.Option(help="Images that may wait to be decoded.", show_default="1024")
    ] = None,
    max_connection_age_s: Annotated[
        float | None,
        typer.Option(help="Seconds after which a client is told to connect anew; 0: never.", show_default="0.0"),
    ] = None,
    cors_origins: Annotated[
        list[str] | None,
        typer.Option(
            "--cors-origin",
            metavar="ORIGIN",
            help="A site whose pages may call from a browser, such as https://shop.example, or * for any; repeatable.",
            show_default="none",
        ),
    ] = None,
    admin_token_file: Annotated[
        Path | None,
        typer.Option(help="File with the admin API's token; or the variable ATELIER_ADMIN_TOKEN.", show_default="none"),
    ] = None,
    drain_grace_s: Annotated[
        float | None,
        typer.Option(help="Seconds after a stop signal in which new requests are answered.", show_default="1.0"),
    ] = None,
    drain_timeout_s: Annotated[
        float | None, typer.Option(help="Seconds then given to requests in flight.", show_default="30.0")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as one line of JSON.")] = False,
) -> None:
    """Serve a folder of models over TensorFlow Serving's gRPC and REST until Ctrl-C or SIGTERM."""
    flags = {name: value for name, value in locals().items() if name != "as_json" and value is not None}
    run_gateway(flags, as_json=as_json)


serve.__doc__ = f"{serve.__doc__}\n\n{_FLAG_HELP}"


def run_gateway(flags: dict[str, Any], *, as_json: bool) -> None:
    """Runs a gateway with these settings until it is told to stop."""
    from serving.garbage_collector import uncollected

    with needs_extra("serving"), uncollected():
        from pydantic import ValidationError

        from serving.batching.parameters_file import ParametersFileError, gateway_batching
        from serving.server import ConfigurationError, StartError, start, stop_signals
        from serving.settings import ServingSettings
    try:
        settings = ServingSettings(**flags)
        gateway_batching(settings)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            fail(first["msg"].removeprefix("Value error, "), WRONG_USE)
        setting = "_".join(part for part in first["loc"] if isinstance(part, str))
        reason = first["msg"].removeprefix("Value error, ")
        if setting == "admin_token":  # never to be seen
            fail(f"setting {setting}: {reason}", WRONG_USE)
        fail(f"setting {setting}: {reason}, received {first['input']!r}", WRONG_USE)
    except ParametersFileError as error:
        fail(str(error), WRONG_USE)
    except (ValueError, OSError) as error:  # not TOML, not UTF-8, no table, not readable
        fail(f"atelier.toml cannot be used: {error}", WRONG_USE)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    statuses: dict[type[Exception], int] = {ConfigurationError: WRONG_USE, StartError: FAILED}
    interrupted = "stopped at once; requests in flight were cut off"
    with sentences(statuses, interrupted=interrupted), stop_signals(), start(settings) as gateway:
        where = gateway.addresses
        if as_json:
            line = {
                "worker_pids": gateway.worker_pids,
                "host": where.host,
                "grpc_port": where.grpc_port,
                "rest_port": where.rest_port,
                "scheme": where.scheme,
            }
            typer.echo(json.dumps(line))
        else:
            shown = "localhost" if where.host in {"0.0.0.0", "::"} else where.host  # noqa: S104 -- only shown
            secured = " over TLS" if where.scheme == "https" else ""
            page = f"{where.scheme}://{shown}:{where.rest_port}/"
            note(f"gRPC{secured} on {shown}:{where.grpc_port}, REST and the page on {page}")
        try:
            gateway.wait()
        except KeyboardInterrupt:
            note("stopping: requests in flight are answered first")
            raise
