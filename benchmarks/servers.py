"""The gateway and the reference servers, each in its own process on free ports of 127.0.0.1."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import grpc
import httpx

from benchmarks.calls import Call
from benchmarks.clients import NoAnswerError
from benchmarks.load import Load, run_load
from benchmarks.model import Model
from benchmarks.processes import ServerProcess, StartError, Usage, started, usage

GATEWAY = "atelier"
START_TIMEOUT_S = 120.0
_NO_ANSWER = (grpc.RpcError, httpx.HTTPError, NoAnswerError)

CallFor = Callable[[str, Model], Call]
"""A call to the server at an address, for a model."""


@dataclass(frozen=True)
class Entrant:
    """What is measured: a server that has answered right at least once, or a loop without a server.

    `load` takes how many are in flight and for how many seconds; `used` is what its processes have used so far, None
    where they are elsewhere. A loop has no `seconds_to_ready`.
    """

    by: str
    check: Callable[[], None]
    load: Callable[[int, int], Load]
    used: Callable[[], Usage] | None = None
    seconds_to_ready: float | None = None


Opening = Callable[[Model], AbstractContextManager[Entrant]]
"""Starts an entrant for a model, and ends it after the block; raises StartError, OSError or WrongAnswerError."""


def gateway(call_for: CallFor, port: Literal["grpc_port", "rest_port"], *flags: str) -> Opening:
    """Atelier's gateway with its defaults, but for `flags`."""

    def opened(model: Model) -> AbstractContextManager[Entrant]:
        return serving(gateway_command(model.repository, *flags), port, call_for, model)

    return opened


def gateway_command(repository: Path, *flags: str) -> list[str]:
    """`atelier serve` on free ports, which it prints as JSON."""
    atelier = Path(sys.executable).with_name("atelier")
    listen = ["--host", "127.0.0.1", "--grpc-port", "0", "--rest-port", "0", "--json"]
    return [str(atelier), "serve", "--models", str(repository), *listen, *flags]


def reference_grpc(call_for: CallFor) -> Opening:
    """The plain gRPC reference."""

    def opened(model: Model) -> AbstractContextManager[Entrant]:
        command = [sys.executable, "-m", "benchmarks.reference_grpc", "--onnx-file", str(model.onnx_file)]
        return serving(command, "grpc_port", call_for, model)

    return opened


def reference_fastapi(call_for: CallFor) -> Opening:
    """The plain REST reference."""

    def opened(model: Model) -> AbstractContextManager[Entrant]:
        module = [sys.executable, "-m", "benchmarks.reference_fastapi"]
        command = [*module, "--onnx-file", str(model.onnx_file), "--name", model.name]
        return serving(command, "rest_port", call_for, model)

    return opened


@contextlib.contextmanager
def serving(command: Sequence[str], port: str, call_for: CallFor, model: Model) -> Iterator[Entrant]:
    """A server that prints its ports as one line of JSON, once it answers right; gone after the block.

    Raises:
        StartError: it did not start, or gave no right answer in time.
        WrongAnswerError: it answered something else than ONNX Runtime.
    """
    with started(command) as process:
        ports = json.loads(process.first_line("{", START_TIMEOUT_S))
        yield ready(process, call_for(f"127.0.0.1:{ports[port]}", model))


def ready(process: ServerProcess, call: Call) -> Entrant:
    """The process as an entrant, once it answers the call right; raises as `serving`."""
    wait_until_right(call, process.since + START_TIMEOUT_S, process.raise_if_ended)
    ready_s = time.perf_counter() - process.since
    return Entrant(call.by, call.check, partial(run_load, call), partial(usage, process.pid), ready_s)


def wait_until_right(call: Call, deadline: float, look: Callable[[], None] = lambda: None) -> None:
    """Asks until there is an answer, `deadline` being one of `time.perf_counter`; `look` may raise between two tries.

    Raises:
        StartError: no answer in time.
        WrongAnswerError: another answer than ONNX Runtime's.
    """
    while True:
        try:
            return call.check()
        except _NO_ANSWER as error:
            look()
            if time.perf_counter() > deadline:
                raise StartError(f"no answer in time, at last: {error}") from error
            time.sleep(0.01)
