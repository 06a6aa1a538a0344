"""The servers under test, each in its own process on free ports of 127.0.0.1."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx

from benchmarks.clients import check_grpc, check_rest
from benchmarks.model import Model
from benchmarks.processes import StartError, started

GATEWAY = "atelier"
START_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Server:
    """A server that has answered right at least once."""

    name: str
    pid: int
    grpc_port: int | None
    rest_port: int | None
    seconds_to_ready: float

    def check(self, model: Model, rows: int = 1) -> None:
        """Asks over every protocol the server speaks; raises what the clients raise."""
        if self.grpc_port:
            check_grpc(self.grpc_port, model, rows)
        if self.rest_port:
            check_rest(self.rest_port, model, rows)


def gateway_command(model: Model) -> list[str]:
    """Atelier's gateway, with its defaults."""
    atelier = Path(sys.executable).with_name("atelier")
    listen = ["--host", "127.0.0.1", "--grpc-port", "0", "--rest-port", "0"]
    return [str(atelier), "serve", "--models", str(model.repository), *listen, "--json"]


def grpc_command(model: Model) -> list[str]:
    """The plain gRPC reference."""
    return [sys.executable, "-m", "benchmarks.reference_grpc", "--onnx-file", str(model.onnx_file)]


def fastapi_command(model: Model) -> list[str]:
    """The plain REST reference."""
    module = [sys.executable, "-m", "benchmarks.reference_fastapi"]
    return [*module, "--onnx-file", str(model.onnx_file), "--name", model.name]


COMMANDS: dict[str, Callable[[Model], list[str]]] = {
    GATEWAY: gateway_command,
    "grpc.aio + ONNX Runtime": grpc_command,
    "FastAPI + uvicorn + ONNX Runtime": fastapi_command,
}


@contextlib.contextmanager
def running(name: str, model: Model) -> Iterator[Server]:
    """The server of that name in `COMMANDS`, once it answers right; gone after the block.

    Raises:
        StartError: it did not start, or gave no right answer in time.
        WrongAnswerError: it answered something else than ONNX Runtime.
    """
    with started(COMMANDS[name](model)) as process:
        ports = json.loads(process.first_line("{", START_TIMEOUT_S))
        server = Server(name, process.pid, ports.get("grpc_port"), ports.get("rest_port"), 0.0)
        _wait_until_right(server, model, process.since + START_TIMEOUT_S)
        ready_s = time.perf_counter() - process.since
        yield Server(name, process.pid, server.grpc_port, server.rest_port, ready_s)


def _wait_until_right(server: Server, model: Model, deadline: float) -> None:
    while True:
        try:
            return server.check(model)
        except (grpc.RpcError, httpx.HTTPError) as error:
            if time.perf_counter() > deadline:
                raise StartError(f"no answer {START_TIMEOUT_S:.0f} s after its start: {error}") from error
            time.sleep(0.01)
