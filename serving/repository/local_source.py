"""A model's base path on this machine's disk: which versions are there, and whether their files have changed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from serving.bundle_files import MANIFEST
from serving.model_config import MAX_VERSION
from serving.repository.source import Fingerprint, Found

_MAX_DIGITS = 64
_COARSEST_TICK_NS = 2_000_000_000
"""FAT's; other file systems tell times to some milliseconds or better."""

_Stamp = tuple[int, int, int]
"""Device, inode, change of content in nanoseconds."""


@dataclass(frozen=True, slots=True)
class LocalVersion:
    """A version's folder."""

    folder: Path

    is_elsewhere: ClassVar[bool] = False

    def fingerprint(self) -> Fingerprint:
        """Names, sizes and change times of its files, to notice that somebody mended them.

        The change time (ctime) also shows a `chmod` and a copy that keeps the modification time.
        """
        files = tuple(sorted(_files(str(self.folder), "")))
        return Fingerprint(files, is_whole=any(name == MANIFEST for name, _, _ in files))


class _Listing(NamedTuple):
    """What was found when the folder looked like `stamp`; without one, it is listed again."""

    found: Found
    stamp: _Stamp | None


class LocalSource:
    """Lists a base path; one in which nothing was added, removed or renamed is not listed again."""

    is_slow = False

    def __init__(self, base_path: Path) -> None:
        self._base_path = base_path
        self._listed: _Listing | None = None

    def look(self) -> Found:
        """Its versions; see `Source.look`. Labels are looked at more often: serving/repository/stored_routing.py."""
        stamp = _stamp(self._base_path.stat())  # before the listing: what is added meanwhile shows next time
        if self._listed is None or self._listed.stamp != stamp:
            self._listed = self._list(stamp)
        return self._listed.found

    def retain(self, versions: Collection[int]) -> None:
        """Nothing: what is on this disk is other people's."""

    def _list(self, stamp: _Stamp) -> _Listing:
        with os.scandir(self._base_path) as entries:
            named = [entry for entry in entries if is_version_number(entry.name)]
        origins = {number: LocalVersion(self._base_path / name) for number, name in version_names(named).items()}
        # A time does not tell of what a link points to, nor of two changes within one tick of the clock.
        lasting = time.time_ns() - stamp[-1] > _COARSEST_TICK_NS
        links = any(entry.is_symlink() for entry in named)
        return _Listing(Found(origins), stamp if lasting and not links else None)


def version_names(entries: Iterable[os.DirEntry[str]]) -> dict[int, str]:
    """The names of version folders by their numbers.

    Only decimal names are versions (as in TensorFlow Serving, `00000123` too), so what is being published under a
    temporary name is never seen. Of `1` and `001` the plain one counts.
    """
    names = [entry.name for entry in entries if is_version_number(entry.name) and is_folder(entry)]
    return {int(name): name for name in sorted(names, key=len, reverse=True)}


def is_version_number(name: str) -> bool:
    """Whether a folder of that name is a version."""
    return name.isascii() and name.isdigit() and len(name) <= _MAX_DIGITS and int(name) <= MAX_VERSION


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Follows links, and asks the file system for nothing else."""
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed
        return False


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _files(folder: str, inside: str) -> Iterator[tuple[str, int, int]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(entry.path, f"{inside}{entry.name}/")
                else:
                    status = entry.stat()
                    yield f"{inside}{entry.name}", status.st_size, status.st_ctime_ns
