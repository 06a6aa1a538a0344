"""Server processes: started, watched and ended as whole trees, by process id (Linux's /proc)."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

STOP_TIMEOUT_S = 15.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class StartError(Exception):
    """A server did not start; the message holds the end of what it printed."""


@dataclass(frozen=True)
class Usage:
    """What a tree of processes has used so far."""

    cpu_s: float
    resident_bytes: int


def process_tree(pid: int) -> list[int]:
    """`pid` and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    tree = [pid]
    for parent in tree:
        tree.extend(children.get(parent, ()))
    return tree


def usage(pid: int) -> Usage:
    """CPU seconds (user and system) and resident memory of the tree; shared memory counts once."""
    cpu_ticks = resident_bytes = 0
    for member in process_tree(pid):
        if fields := _stat(member):
            cpu_ticks += int(fields[11]) + int(fields[12])
            resident_bytes += _proportional_set_bytes(member)
    return Usage(cpu_ticks / _TICKS_PER_S, resident_bytes)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from `state` (3) on, or None when the process is gone; proc(5)."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _proportional_set_bytes(pid: int) -> int:
    try:
        rollup = (_PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))


class ServerProcess:
    """A server process, from its start to the end of its whole tree."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.since = time.perf_counter()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `stop`
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._errors, text=True, env={**os.environ, **environment}
        )
        self._drain: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The process that was started; the root of the tree."""
        return self._process.pid

    def first_line(self, start: str, timeout_s: float) -> str:
        """The first line on standard output that begins with `start`; what follows is read and thrown away.

        Raises:
            StartError: the process ended, or was silent for too long.
        """
        watchdog = threading.Timer(timeout_s, self._process.kill)
        watchdog.start()
        try:
            for line in self._output:
                if line.startswith(start):
                    self.discard_output()
                    return line
        finally:
            watchdog.cancel()
        self._process.wait()
        raise StartError(f"ended with code {self._process.returncode}: {self.errors()}")

    def discard_output(self) -> None:
        """Reads standard output from now on, and throws it away, so that the server never waits to write."""
        self._drain = threading.Thread(target=self._output.read)
        self._drain.start()

    def raise_if_ended(self) -> None:
        """Raises StartError when the process has ended."""
        if self._process.poll() is not None:
            raise StartError(f"ended with code {self._process.returncode}: {self.errors()}")

    def errors(self) -> str:
        """The end of what the process wrote to standard error."""
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode(errors="replace")[-1000:].strip()

    def stop(self) -> None:
        """Asks the process to end, waits, and kills what is left of its tree."""
        tree = process_tree(self.pid)
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for orphan in tree[1:]:
            _kill(orphan)
        if self._drain:
            self._drain.join()
        self._output.close()
        self._errors.close()

    @property
    def _output(self) -> IO[str]:
        return cast("IO[str]", self._process.stdout)


def _kill(pid: int) -> None:
    """Kills a process that is no child of ours, and waits for its end."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], STOP_TIMEOUT_S)
        finally:
            os.close(handle)


@contextlib.contextmanager
def started(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[ServerProcess]:
    """Runs `command`, with more environment, for the length of the block; its whole tree is gone afterwards."""
    process = ServerProcess(command, environment or {})
    try:
        yield process
    finally:
        process.stop()


def free_port() -> int:
    """A port that was free a moment ago, for servers that take no 0."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
