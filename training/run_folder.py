"""Writing a run folder: it appears under its name only when it is complete.

Until then it is `.<name>.<pid>.partial` beside it, locked (flock) for as long as its training lives. A training that
was killed leaves it unlocked, and the next one in the same parent folder removes it.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from training.errors import RunError, UsageError

RUNS = Path("runs")


def default_run_path(recipe: str, now: datetime.datetime) -> Path:
    """`runs/<recipe>-<YYYYmmdd-HHMMSS>`, below the working directory."""
    return RUNS / f"{recipe}-{now:%Y%m%d-%H%M%S}"


@contextlib.contextmanager
def new_run_folder(path: Path) -> Iterator[Path]:
    """Yields a hidden folder beside `path` to write to; renames it to `path` when the body succeeds, else removes it.

    Raises:
        UsageError: `path` is a file, or a folder that is not empty.
        RunError: the disk refuses.
    """
    check_free(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        _remove_abandoned(path.parent)
        partial.mkdir(parents=True)
        try:
            with _lock(partial):
                yield partial
                partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from error


def check_free(path: Path) -> None:
    """Holds a path to be free for a new run: it does not exist, or is an empty folder.

    Raises:
        UsageError: it is a file, or a folder that is not empty.
    """
    if path.is_dir() and any(path.iterdir()):
        raise UsageError(f"{path} is not empty; a run is never overwritten, name another folder")
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; expected a folder for the run")


def _remove_abandoned(parent: Path) -> None:
    for partial in parent.glob(".*.[0-9]*.partial"):
        with contextlib.suppress(OSError), _lock(partial) as is_ours:
            if is_ours:
                shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Holds the folder's lock; false where another process does, or where the file system has no such locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
