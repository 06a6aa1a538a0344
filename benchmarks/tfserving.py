"""TensorFlow Serving as a contestant, and behind the gateway: the real one where there is one, else the stand-in.

`tensorflow_model_server` on the PATH is started without batching and with it (time-out 0); a server that runs already
joins by `$TFSERVING_ADDRESS`, HOST:PORT of its gRPC, and has to have the model of that name in its folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from benchmarks.calls import tfs_grpc
from benchmarks.load import run_load
from benchmarks.model import Model
from benchmarks.processes import ServerProcess, free_port, started
from benchmarks.random_models import write_saved_model
from benchmarks.servers import (
    START_TIMEOUT_S,
    Entrant,
    Opening,
    gateway_command,
    ready,
    serving,
    wait_until_right,
)

BINARY = "tensorflow_model_server"
_BATCHING = """max_batch_size { value: 64 }
batch_timeout_micros { value: 0 }
num_batch_threads { value: %d }
max_enqueued_batches { value: 100000 }
"""


def contestants() -> Mapping[str, Opening]:
    """By name: none, where there is no TensorFlow Serving."""
    found: dict[str, Opening] = {}
    if shutil.which(BINARY):
        found["TensorFlow Serving"] = partial(_opened, batching=False)
        found["TensorFlow Serving, batching"] = partial(_opened, batching=True)
    if address := os.environ.get("TFSERVING_ADDRESS"):
        found[f"TensorFlow Serving at {address}"] = partial(_elsewhere, address)
    return found


def upstream_name() -> str:
    """What stands behind the gateway."""
    return "TensorFlow Serving" if shutil.which(BINARY) else "TF Serving stand-in"


@contextlib.contextmanager
def upstream(model: Model) -> Iterator[Entrant]:
    """The server behind the gateway, asked directly."""
    with running(model, batching=False) as (process, port):
        yield ready(process, tfs_grpc(f"127.0.0.1:{port}", model))


@contextlib.contextmanager
def gateway_before_upstream(model: Model) -> Iterator[Entrant]:
    """The gateway in front of such a server."""
    with running(model, batching=False) as (process, port), tempfile.TemporaryDirectory() as nothing:
        ready(process, tfs_grpc(f"127.0.0.1:{port}", model))
        flags = ["--tfserving-address", f"127.0.0.1:{port}", "--tfserving-model", model.name]
        command = gateway_command(Path(nothing), "--backend", "tfserving", *flags)
        with serving(command, "grpc_port", tfs_grpc, model) as entrant:
            yield entrant


@contextlib.contextmanager
def _opened(model: Model, *, batching: bool) -> Iterator[Entrant]:
    with running(model, batching=batching) as (process, port):
        yield ready(process, tfs_grpc(f"127.0.0.1:{port}", model))


@contextlib.contextmanager
def _elsewhere(address: str, model: Model) -> Iterator[Entrant]:
    call = tfs_grpc(address, model)
    wait_until_right(call, time.perf_counter() + START_TIMEOUT_S / 4)
    yield Entrant(call.by, call.check, partial(run_load, call))


@contextlib.contextmanager
def running(model: Model, *, batching: bool) -> Iterator[tuple[ServerProcess, int]]:
    """A server process with that model, and its gRPC port; it may not listen yet."""
    binary = shutil.which(BINARY)
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "models.config"
        entry = f'name: "{model.name}" base_path: "{model.repository.resolve() / model.name}"'
        config.write_text(f'model_config_list {{ config {{ {entry} model_platform: "tensorflow" }} }}\n')
        if binary is None:
            command = [sys.executable, "-m", "tests.support.tfserving_standin", "--model-config-file", str(config)]
            with started(command) as process:
                yield process, json.loads(process.first_line("{", START_TIMEOUT_S))["port"]
            return
        write_saved_model(model)
        port = free_port()
        command = [binary, f"--port={port}", f"--model_config_file={config}"]
        if batching:
            parameters = Path(name) / "batching.config"
            parameters.write_text(_BATCHING % len(os.sched_getaffinity(0)))
            command += ["--enable_batching", f"--batching_parameters_file={parameters}"]
        with started(command) as process:
            process.discard_output()
            yield process, port
