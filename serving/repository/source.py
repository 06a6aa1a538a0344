"""Looks at the models folder: which models and versions are there, and whether a version's files have changed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from serving.bundle import MANIFEST

Fingerprint = tuple[tuple[str, int, int], ...]

_MAX_VERSION = 2**63 - 1
"""Versions travel as int64."""
_MAX_DIGITS = 64
_COARSEST_TICK_NS = 2_000_000_000
"""FAT's; other file systems tell times to some milliseconds or better."""


class ModelFolder(NamedTuple):
    """One model on disk: its base path, and its version folders by number."""

    base_path: Path
    version_dirs: Mapping[int, Path]

    @property
    def versions(self) -> frozenset[int]:
        """The numbers of the versions."""
        return frozenset(self.version_dirs)


class _Listing(NamedTuple):
    """What a folder held when it looked like `stamp`; without one, it has to be listed again."""

    folder: ModelFolder
    stamp: tuple[int, int, int] | None


class Source:
    """Looks at a models folder, again and again; folders in which nothing was added or removed are not listed again."""

    def __init__(self, models: Path) -> None:
        self._models = models
        self._listed: dict[str, _Listing] = {}

    def scan(self) -> dict[str, ModelFolder]:
        """Every model in the folder by name; a folder that holds versions and no models is one, named like itself.

        Only folders with decimal names are versions (as in TensorFlow Serving, `00000123` too), so what is being
        published under a temporary name is never seen.

        Raises:
            OSError: the folder cannot be read; that says nothing about what should be served.
        """
        with os.scandir(self._models) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry))
        self._listed = {name: self._list(name) for name in (".", *names)}
        own = self._listed["."].folder
        folders = {name: self._listed[name].folder for name in names}
        if own.version_dirs and not any(folder.version_dirs for folder in folders.values()):
            return {self._models.resolve().name: own}
        return folders

    def _list(self, name: str) -> _Listing:
        known = self._listed.get(name)
        base_path = known.folder.base_path if known else self._models / name
        try:
            status = base_path.stat()  # before the listing: what is added meanwhile shows next time
            stamp = (status.st_dev, status.st_ino, status.st_mtime_ns)
            if known and known.stamp == stamp:
                return known
            with os.scandir(base_path) as entries:
                numbers = [entry for entry in entries if _is_number(entry.name)]
            # Of `1` and `001` the plain one counts: it comes last here.
            numbers.sort(key=lambda entry: len(entry.name), reverse=True)
            version_dirs = {int(entry.name): base_path / entry.name for entry in numbers if _is_folder(entry)}
        except OSError:
            return _Listing(ModelFolder(base_path, {}), None)
        # A folder's time does not tell of what a link points to, nor of two changes within one tick of its clock.
        lasting = time.time_ns() - status.st_mtime_ns > _COARSEST_TICK_NS
        return _Listing(
            ModelFolder(base_path, version_dirs),
            stamp if lasting and not any(entry.is_symlink() for entry in numbers) else None,
        )


def fingerprint(version_dir: Path) -> Fingerprint:
    """Names, sizes and change times of a version's files, to notice that somebody mended them.

    The change time (ctime) also shows a `chmod` and a copy that keeps the modification time. What cannot be looked at
    is left out.
    """
    return tuple(sorted(_files(str(version_dir), "")))


def has_manifest(files: Fingerprint) -> bool:
    """Whether checksums tell that the version is complete."""
    return any(name == MANIFEST for name, _, _ in files)


def is_settled(files: Fingerprint, before: Fingerprint | None) -> bool:
    """Whether a version is no longer being copied: its manifest vouches for that, or the look `before` saw the same."""
    return has_manifest(files) or files == before


def _files(folder: str, inside: str) -> Iterator[tuple[str, int, int]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(entry.path, f"{inside}{entry.name}/")
                else:
                    status = entry.stat()
                    yield f"{inside}{entry.name}", status.st_size, status.st_ctime_ns


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Follows links, and asks the file system for nothing else."""
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed
        return False


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) <= _MAX_DIGITS and int(name) <= _MAX_VERSION
