"""Processes that train together on this machine, each with its `TF_CONFIG`."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence

from tests.support.ports import free_ports

ATTEMPTS = 3
TIMEOUT_S = 240.0
PORT_IS_TAKEN = "cannot listen at"


def tf_config(ports: Sequence[int], index: int) -> dict[str, str]:
    """This process' environment with the cluster in it."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return {**os.environ, "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}


@contextlib.contextmanager
def started(commands: Sequence[Sequence[str]], ports: Sequence[int]) -> Iterator[list[subprocess.Popen[str]]]:
    """One process for each command, as workers 0, 1, …; none outlives the block."""
    workers = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=tf_config(ports, index),
        )
        for index, command in enumerate(commands)
    ]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def finished(commands: Sequence[Sequence[str]]) -> list[subprocess.CompletedProcess[str]]:
    """Runs the workers to their ends; once more, with other ports, where a port was taken meanwhile."""
    for _ in range(ATTEMPTS):
        with started(commands, free_ports(len(commands))) as workers:
            # Each one writes little: no pipe is full before its turn comes.
            ends = [(worker, *worker.communicate(timeout=TIMEOUT_S)) for worker in workers]
        done = [subprocess.CompletedProcess(worker.args, worker.returncode, out, err) for worker, out, err in ends]
        if not any(PORT_IS_TAKEN in one.stderr for one in done):
            break
    return done


def read_until(worker: subprocess.Popen[str], start: str) -> str:
    """The next line that begins like this; fails with what was said on standard error where none comes."""
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.startswith(start):
            return line
    raise AssertionError(f"no line {start!r}: {worker.communicate()[1]}")
