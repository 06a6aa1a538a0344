"""The folder that all workers of a gateway share for as long as it runs; their sockets lie in it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_LONGEST_PATH_BYTES = 107
"""Of a Unix socket: `sun_path` holds 108, and ends with a zero. Source: https://man7.org/linux/man-pages/man7/unix.7.html"""
_SHORT_PARENT = "/tmp"  # noqa: S108 -- the folder made in it is this user's alone


@contextlib.contextmanager
def shared_folder(longest_name_bytes: int) -> Iterator[Path]:
    """A private folder under `$TMPDIR`, gone when the block ends; under `/tmp` where a socket's path would be too long.

    `longest_name_bytes` is the length of the longest name that a socket in it will have.

    Raises:
        OSError: neither can be written to.
    """
    for parent in (tempfile.gettempdir(), _SHORT_PARENT):
        with tempfile.TemporaryDirectory(prefix="atelier-", dir=parent) as folder:
            if parent == _SHORT_PARENT or len(os.fsencode(folder)) + 1 + longest_name_bytes <= _LONGEST_PATH_BYTES:
                yield Path(folder)
                return
