"""Looks at the models folder: which models and versions are there, and whether a version's files have changed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

Fingerprint = tuple[tuple[str, int, int], ...]


class ModelFolder(NamedTuple):
    """One model on disk: its base path and the numbers of its version folders."""

    base_path: Path
    versions: frozenset[int]


def scan(models: Path) -> dict[str, ModelFolder]:
    """Every model in the folder by name; a folder that holds versions itself is one model, named like the folder.

    Only folders with plain decimal names are versions (as in TensorFlow Serving), so what is being published under a
    temporary name is never seen.

    Raises:
        OSError: the folder cannot be read; that says nothing about what should be served.
    """
    own_versions = _versions(models)
    if own_versions:
        return {models.resolve().name: ModelFolder(models, own_versions)}
    folders = (path for path in sorted(models.iterdir()) if path.is_dir() and not path.name.startswith("."))
    return {path.name: ModelFolder(path, _versions(path)) for path in folders}


def fingerprint(version_dir: Path) -> Fingerprint:
    """Names, sizes and modification times of a version's files, to notice that somebody mended them."""
    found = []
    for path in sorted(version_dir.rglob("*")):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        found.append((path.relative_to(version_dir).as_posix(), status.st_size, status.st_mtime_ns))
    return tuple(found)


def _versions(base_path: Path) -> frozenset[int]:
    try:
        names = [path.name for path in base_path.iterdir() if path.is_dir()]
    except OSError:
        return frozenset()
    return frozenset(int(name) for name in names if name.isascii() and name.isdigit() and str(int(name)) == name)
