"""Where decoded pixels are kept: in memory, or in an unnamed file on disk when they are too many."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from training.errors import DatasetError

FOLDER_VARIABLE = "TMPDIR"
DEFAULT_FOLDER = Path("/var/tmp")  # noqa: S108 - the files have no names that anybody could guess
"""Not `/tmp`, which on many machines is kept in memory: nothing would be gained."""

Allocate = Callable[[tuple[int, ...]], np.ndarray]


def choose_storage(needed_bytes: int, max_memory_bytes: int) -> Allocate:
    """What gives room for uint8 arrays of `needed_bytes` in all: `in_memory`, or `on_disk` beyond the limit.

    Raises:
        DatasetError: they must go to disk, and it has not enough free space.
    """
    if needed_bytes <= max_memory_bytes:
        return in_memory
    folder = temporary_folder()
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise _no_space(needed_bytes, str(error)) from error
    if free_bytes < needed_bytes:
        raise _no_space(needed_bytes, f"only {_gigabytes(free_bytes)} are free")
    return on_disk


def in_memory(shape: tuple[int, ...]) -> np.ndarray:
    """An uninitialised uint8 array.

    Raises:
        DatasetError: memory is not enough for it.
    """
    try:
        return np.empty(shape, dtype=np.uint8)
    except (MemoryError, ValueError) as error:  # ValueError: more than addresses can count
        raise DatasetError(
            f"the decoded images need {_gigabytes(math.prod(shape))}, more than memory has: "
            "expected a limit from which on they are kept on disk, as --max-memory-gib 2"
        ) from error


def on_disk(shape: tuple[int, ...]) -> np.ndarray:
    """A uint8 `numpy.memmap` over a file without a name: it is gone with the process, however that ends.

    Raises:
        DatasetError: the disk has no room for it.
    """
    needed_bytes = math.prod(shape)
    try:
        with tempfile.TemporaryFile(dir=temporary_folder()) as file:
            # Without its blocks reserved, a full disk would end the process when a page is written.
            os.posix_fallocate(file.fileno(), 0, needed_bytes)
            return np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
    except OSError as error:
        raise _no_space(needed_bytes, str(error)) from error


def temporary_folder() -> Path:
    """Where files that are too large for memory go: the folder that `$TMPDIR` names, or else `/var/tmp`."""
    return Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER)


def _no_space(needed_bytes: int, reason: str) -> DatasetError:
    return DatasetError(
        f"the decoded images need {_gigabytes(needed_bytes)} in {temporary_folder()} "
        f"(${FOLDER_VARIABLE} may name another folder): {reason}"
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.2f} GB"
