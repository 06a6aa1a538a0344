"""Writing a run folder: it appears under its name only when it is complete.

Until then it is `.<name>.partial` beside it, locked (flock) for as long as its training lives. A training that was
interrupted or killed after its first checkpoint leaves it behind, unlocked, for `--resume`.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from training.checkpoint import CHECKPOINT
from training.errors import RunError, UsageError
from training.paths import require_text

RUNS = Path("runs")


def default_run_path(recipe: str, now: datetime.datetime) -> Path:
    """`runs/<recipe>-<YYYYmmdd-HHMMSS>`, below the working directory."""
    return RUNS / f"{recipe}-{now:%Y%m%d-%H%M%S}"


def partial_path(path: Path) -> Path:
    """Where the run `path` is while it is not complete."""
    return path.with_name(f".{path.name}.partial")


def is_interrupted(path: Path) -> bool:
    """Whether an unfinished run of that path was left behind, from which a training can go on."""
    return (partial_path(path) / CHECKPOINT).is_file()


def latest_interrupted(recipe: str, parent: Path = RUNS) -> Path | None:
    """The path of the recipe's newest interrupted run that has a default name, or None."""
    pattern = f"{recipe}-{'[0-9]' * 8}-{'[0-9]' * 6}"
    names = sorted(partial.name[1 : -len(".partial")] for partial in parent.glob(f".{pattern}.partial"))
    return next((parent / name for name in reversed(names) if is_interrupted(parent / name)), None)


@contextlib.contextmanager
def run_folder(path: Path, *, resume: bool = False) -> Iterator[Path]:
    """Yields the hidden folder to write to; renames it to `path`, without its checkpoint, when the body succeeds.

    When the body fails, the folder stays if it holds a checkpoint, and is removed if not. With `resume` it is the one
    that an interrupted training left behind.

    Raises:
        UsageError: `path` is a file, or a folder that is not empty; another process trains it; an interrupted run is in
            the way; or there is none to resume.
        RunError: the disk refuses.
    """
    check_free(path)
    partial = partial_path(path)
    if resume and not is_interrupted(path):
        raise UsageError(f"there is no interrupted run to resume at {path}")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        with _lock(partial) as is_ours:
            if not is_ours:
                raise UsageError(f"{path} is being trained by another process")
            if not resume:
                _clear(partial, path)
            try:
                yield partial
                _write_through(partial)
                partial.rename(path)
                (path / CHECKPOINT).unlink(missing_ok=True)
            except BaseException:
                if not is_interrupted(path):
                    shutil.rmtree(partial, ignore_errors=True)
                raise
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from error


def check_free(path: Path) -> None:
    """Holds a path to be free for a new run: it does not exist, or is an empty folder.

    Raises:
        UsageError: it is a file, a folder that is not empty, has no name of its own, as `.` and `..`, or is no text.
        RunError: it cannot be looked at.
    """
    require_text(path, "--out")
    if path.name in {"", ".."}:
        raise UsageError(f"expected a name for the run folder, received {str(path)!r}")
    try:
        is_folder, is_taken = path.is_dir(), path.exists()
        holds_something = is_folder and any(path.iterdir())
    except OSError as error:
        raise RunError(f"{path} cannot be looked at: {error.strerror or error}") from error
    if holds_something:
        raise UsageError(f"{path} is not empty; a run is never overwritten, name another folder")
    if is_taken and not is_folder:
        raise UsageError(f"{path} is a file; expected a folder for the run")


def _write_through(folder: Path) -> None:
    """Waits until the disk has the folder's files, so that a power cut cannot leave a finished run with empty ones."""
    for path in [*(path for path in folder.rglob("*") if path.is_file()), folder]:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _clear(partial: Path, path: Path) -> None:
    if is_interrupted(path):
        raise UsageError(f"an interrupted run is at {path}: --resume goes on with it, removing {partial} gives it up")
    for left_over in partial.iterdir():
        if left_over.is_dir():
            shutil.rmtree(left_over)
        else:
            left_over.unlink()


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Holds the folder's lock; false where another process does. A file system without such locks has none to hold."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _is_locked(descriptor)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, or NFS, which locks no folder
        return True
    return True
