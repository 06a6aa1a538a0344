"""Processes that train together on this machine, each with its `TF_CONFIG`."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

ATTEMPTS = 3
TIMEOUT_S = 240.0
PORT_IS_TAKEN = "cannot listen at"
_CHANCE = random.SystemRandom()
"""Others run at the same time; a test may have seeded Python's own."""


def tf_config(ports: Sequence[int], index: int) -> dict[str, str]:
    """This process' environment with the cluster in it."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return {**os.environ, "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at now, of those that the kernel gives to nobody who lets it choose.

    One of the others could be somebody else's before it is used.
    """
    first_of_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            port = _CHANCE.randrange(first_of_kernel // 2, first_of_kernel)
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("", port)))
                found.append(port)
    return found


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
