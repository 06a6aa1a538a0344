"""A version that ends the process that loads it.

Its manifest is a pipe, so that whoever has begun to read it can be seen, and killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from serving.bundle_files import MANIFEST


@contextlib.contextmanager
def fatal_version(version_dir: Path) -> Iterator[Future[int]]:
    """Publishes the version; whoever loads it first is killed. Gives that process' id."""
    building = version_dir.parent / f".building-{version_dir.name}"
    building.mkdir()
    os.mkfifo(building / MANIFEST)
    building.rename(version_dir)
    with ThreadPoolExecutor(1) as executor:
        try:
            yield executor.submit(_kill_who_reads, version_dir / MANIFEST)
        finally:  # it may still wait for a reader
            os.close(os.open(version_dir / MANIFEST, os.O_RDONLY | os.O_NONBLOCK))


def _kill_who_reads(pipe: Path) -> int:
    """Waits for the process that opens the pipe to read, and kills it; its id."""
    with pipe.open("wb"):
        processes = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        (reader,) = [pid for pid in processes if pid != os.getpid() and _has_open(pid, pipe)]
        os.kill(reader, signal.SIGKILL)
        return reader


def _has_open(pid: int, path: Path) -> bool:
    with contextlib.suppress(OSError):  # it has ended meanwhile, or closed one
        return any(entry.readlink() == path for entry in Path(f"/proc/{pid}/fd").iterdir())
    return False
