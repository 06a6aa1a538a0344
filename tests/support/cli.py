"""`atelier …` as a process of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

COMMAND = (sys.executable, "-m", "atelier")


@dataclass(frozen=True)
class Serving:
    """A started `atelier serve`: the command's process, and where its gateway listens."""

    process: subprocess.Popen[str]
    worker_pids: list[int]
    grpc_port: int
    rest_port: int

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.rest_port}"

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"


def atelier(
    *arguments: str, timeout_s: float = 300.0, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, in this process' environment if none is given."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=timeout_s, check=False, env=environment
    )


@contextlib.contextmanager
def atelier_serve(models: Path, *flags: str, environment: Mapping[str, str] | None = None) -> Iterator[Serving]:
    """Starts `atelier serve` on free ports; ends it, however the block ends."""
    arguments = [
        "serve",
        "--models",
        str(models),
        "--host",
        "127.0.0.1",
        "--grpc-port",
        "0",
        "--rest-port",
        "0",
        "--json",
    ]
    process = subprocess.Popen(
        [*COMMAND, *arguments, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"atelier serve ended: {process.communicate()[1]}"
            started = json.loads(line)
            yield Serving(process, started["worker_pids"], started["grpc_port"], started["rest_port"])
        finally:
            process.terminate()
            try:
                process.communicate(timeout=120.0)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
