"""Runs Locust in processes of its own, so that nothing takes time from the sending, and follows what it writes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from loadtest.errors import LoadTestError, TargetError
from loadtest.plan import LoadPlan
from loadtest.recording import Recording, whole_lines, write_line

LOCUSTFILE = Path(__file__).with_name("open_loop.py")
RECORDING = "recording.jsonl"

_LOG = "generator.log"
_POLL_S = 0.2
_STOP_TIMEOUT_S = 30.0
_SHOWN_LINES = 3

Follow = Callable[[Recording], str]
"""Takes what is known so far; a text ends the test early, and is its reason."""


@dataclass(frozen=True)
class Processes:
    """How many processes send: `here` on this machine, and `elsewhere` workers that are started by hand.

    One process here and none elsewhere needs no master. Workers elsewhere find the master at `listen`, HOST:PORT.
    """

    here: int = 1
    elsewhere: int = 0
    listen: str = "127.0.0.1:0"

    @property
    def is_distributed(self) -> bool:
        """Whether there is a master with workers."""
        return self.here + self.elsewhere > 1 or self.elsewhere > 0


def run_locust(plan: LoadPlan, folder: Path, processes: Processes, follow: Follow) -> Recording:
    """Runs a plan; what it saw is in the folder's recording at any time. Ctrl-C ends it early, without an exception.

    Raises:
        KeyboardInterrupt: Ctrl-C came before the first request.
        TargetError: the server or the model is not as it has to be.
        LoadTestError: Locust ended without saying why.
    """
    path = folder / RECORDING
    path.unlink(missing_ok=True)
    path.touch()
    with (folder / _LOG).open("w", encoding="utf-8") as log, contextlib.ExitStack() as stack:
        started = [stack.enter_context(_process(command, log)) for command in _commands(plan, path, processes)]
        recording = _follow(path, started[0], follow)
    if recording.end.get("reason") == "failed":
        raise TargetError(str(recording.end["text"]))
    if not recording.start:
        if recording.end.get("reason") == "interrupted":
            raise KeyboardInterrupt
        said = (folder / _LOG).read_text(encoding="utf-8").strip().splitlines()[-_SHOWN_LINES:]
        raise LoadTestError(f"Locust ended with {started[0].returncode} before the first request: {' / '.join(said)}")
    return recording


def _commands(plan: LoadPlan, path: Path, processes: Processes) -> Iterator[Sequence[str]]:
    """The one that writes the recording first, then the workers here."""
    locust = (sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--loglevel", "WARNING")
    alone = (*locust, "--headless", "--only-summary", "--stop-timeout", "0", *plan.options(), f"--recording={path}")
    if not processes.is_distributed:
        yield alone
        return
    host, _, port_text = processes.listen.rpartition(":")
    port = int(port_text) or _free_port()
    count = str(processes.here + processes.elsewhere)
    yield (*alone, "--master", "--master-bind-host", host, "--master-bind-port", str(port), "--expect-workers", count)
    for _ in range(processes.here):
        yield (*locust, "--worker", "--master-host", "127.0.0.1", "--master-port", str(port))


@contextlib.contextmanager
def _process(command: Sequence[str], log: TextIO) -> Iterator[subprocess.Popen[bytes]]:
    """A generator's process in a session of its own, so that a terminal's Ctrl-C reaches only us; gone at the end."""
    process = subprocess.Popen(  # noqa: S603 -- our own command
        command,
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env=_environment(os.environ),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """With select(2), gevent's timers are exact to some 0.1 ms; with epoll(7), which counts milliseconds, to 1 ms."""
    return {"GEVENT_BACKEND": "select", **given, "PYTHONUNBUFFERED": "1"}


def _follow(path: Path, process: subprocess.Popen[bytes], follow: Follow) -> Recording:
    """Reads what is written until the process ends."""
    recording, reason = Recording(), ""
    with path.open(encoding="utf-8") as file:
        try:
            while process.poll() is None:
                _read_on(file, recording)
                reason = follow(recording)
                if reason:
                    break
                time.sleep(_POLL_S)
        except KeyboardInterrupt:
            reason = "interrupted"
        if reason:
            process.send_signal(signal.SIGTERM)
            process.wait(_STOP_TIMEOUT_S)
        _read_on(file, recording)
    if reason and recording.end.get("reason") not in {"failed", "finished"}:
        end = {"kind": "end", "reason": reason}
        write_line(path, end)
        recording.add([end])
    follow(recording)
    return recording


def _read_on(file: TextIO, recording: Recording) -> None:
    """Takes the whole lines that are there by now."""
    while True:
        at = file.tell()
        text = file.readline()
        if not text.endswith("\n"):
            file.seek(at)
            return
        recording.add(whole_lines([text]))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
