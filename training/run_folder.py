"""Writing a run folder: it appears under its name only when it is complete."""

from __future__ import annotations

import contextlib
import datetime
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
        partial.mkdir(parents=True)
        yield partial
        partial.rename(path)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_free(path: Path) -> None:
    """Holds a path to be free for a new run: it does not exist, or is an empty folder.

    Raises:
        UsageError: it is a file, or a folder that is not empty.
    """
    if path.is_dir() and any(path.iterdir()):
        raise UsageError(f"{path} is not empty; a run is never overwritten, name another folder")
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; expected a folder for the run")
