"""Looks at the models folder: which models and versions are there, and whether a version's files have changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

Fingerprint = tuple[tuple[str, int, int], ...]

_MAX_VERSION = 2**63 - 1
"""Versions travel as int64."""
_MAX_DIGITS = 64


class ModelFolder(NamedTuple):
    """One model on disk: its base path, and its version folders by number."""

    base_path: Path
    version_dirs: Mapping[int, Path]

    @property
    def versions(self) -> frozenset[int]:
        """The numbers of the versions."""
        return frozenset(self.version_dirs)


def scan(models: Path) -> dict[str, ModelFolder]:
    """Every model in the folder by name; a folder that holds versions and no models is one model, named like itself.

    Only folders with decimal names are versions (as in TensorFlow Serving, `00000123` too), so what is being published
    under a temporary name is never seen.

    Raises:
        OSError: the folder cannot be read; that says nothing about what should be served.
    """
    folders = {
        path.name: ModelFolder(path, _version_dirs(path))
        for path in sorted(models.iterdir())
        if path.is_dir() and not path.name.startswith(".")
    }
    own = _version_dirs(models)
    if own and not any(folder.versions for folder in folders.values()):
        return {models.resolve().name: ModelFolder(models, own)}
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


def _version_dirs(base_path: Path) -> dict[int, Path]:
    try:
        paths = [path for path in base_path.iterdir() if _is_number(path.name) and path.is_dir()]
    except OSError:
        return {}
    # Of `1` and `001` the plain one counts: it comes last here.
    return {int(path.name): path for path in sorted(paths, key=lambda path: len(path.name), reverse=True)}


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) <= _MAX_DIGITS and int(name) <= _MAX_VERSION
