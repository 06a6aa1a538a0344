"""Looks at the models folder: which models and versions are there, and whether a version's files have changed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

Fingerprint = tuple[tuple[str, int, int], ...]

_MAX_VERSION = 2**63 - 1
"""Versions travel as int64."""


class ModelFolder(NamedTuple):
    """One model on disk: its base path and the numbers of its version folders."""

    base_path: Path
    versions: frozenset[int]


def scan(models: Path) -> dict[str, ModelFolder]:
    """Every model in the folder by name; a folder that holds versions and no models is one model, named like itself.

    Only folders with plain decimal names are versions (as in TensorFlow Serving), so what is being published under a
    temporary name is never seen.

    Raises:
        OSError: the folder cannot be read; that says nothing about what should be served.
    """
    folders = {
        path.name: ModelFolder(path, _versions(path))
        for path in sorted(models.iterdir())
        if path.is_dir() and not path.name.startswith(".")
    }
    own_versions = _versions(models)
    if own_versions and not any(folder.versions for folder in folders.values()):
        return {models.resolve().name: ModelFolder(models, own_versions)}
    return folders


def fingerprint(version_dir: Path) -> Fingerprint:
    """Names, sizes and change times of a version's files, to notice that somebody mended them.

    The change time (ctime) also shows a `chmod` and a copy that keeps the modification time. What cannot be looked at
    is left out.
    """
    found = []
    for folder, _, names in os.walk(version_dir):
        for path in (Path(folder, name) for name in names):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((path.relative_to(version_dir).as_posix(), status.st_size, status.st_ctime_ns))
    return tuple(sorted(found))


def _versions(base_path: Path) -> frozenset[int]:
    try:
        names = [path.name for path in base_path.iterdir() if path.is_dir()]
    except OSError:
        return frozenset()
    numbers = {int(name) for name in names if name.isascii() and name.isdigit() and str(int(name)) == name}
    return frozenset(number for number in numbers if number <= _MAX_VERSION)
