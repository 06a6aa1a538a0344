"""What publishing asks of an object store: a thin layer over fsspec, with names relative to one address.

Everything here relies on what S3, Google Cloud Storage and their like promise: an object appears and is replaced as a
whole, and every later listing or reading sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Store:
    """The objects below an address, which is a `upath.UPath`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        location: Any = root
        self._filesystem: Any = location.fs
        self._base: str = str(location.path).rstrip("/")

    @property
    def protocols(self) -> frozenset[str]:
        """What addresses in this store begin with."""
        protocol = self._filesystem.protocol
        return frozenset({protocol} if isinstance(protocol, str) else protocol)

    def children(self, prefix: str = "") -> list[str]:
        """The names directly below the prefix, of objects and of prefixes; none where nothing is."""
        try:
            paths = self._filesystem.ls(self._path(prefix), detail=False, refresh=True)
        except FileNotFoundError:
            return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in paths)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """The size in bytes of every object below the prefix, by its name relative to it."""
        base = f"{self._path(prefix)}/"
        found = self._filesystem.find(base.rstrip("/"), detail=True)
        return {str(path).removeprefix(base): int(info["size"]) for path, info in found.items()}

    def age_s(self, prefix: str) -> float:
        """How long ago the newest object below the prefix was written, in seconds; 0 where there is none."""
        times = []
        for name in self.sizes(prefix):
            with suppress(FileNotFoundError):  # its publisher has just removed it
                times.append(self._filesystem.modified(self._path(f"{prefix}/{name}")))
        return max(0.0, (datetime.now(UTC) - max(times)).total_seconds()) if times else 0.0

    def read(self, name: str) -> bytes | None:
        """An object's content; None where there is no such object."""
        with suppress(FileNotFoundError):
            return bytes(self._filesystem.cat_file(self._path(name)))
        return None

    def write(self, name: str, content: bytes) -> None:
        """Makes or replaces an object."""
        self._filesystem.pipe_file(self._path(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """Makes an object that is not there yet; says whether it did."""
        try:
            self._filesystem.pipe_file(self._path(name), content, mode="create")
        except FileExistsError:
            return False
        return True

    def upload(self, files: Mapping[str, Path]) -> None:
        """Makes objects from files of this machine, several at a time."""
        self._filesystem.put([str(path) for path in files.values()], [self._path(name) for name in files])

    def download(self, prefix: str, names: Iterable[str], folder: Path) -> None:
        """Writes objects below the prefix to files of the same names in a folder of this machine, several at a time.

        Raises:
            FileNotFoundError: one of them is not there.
        """
        chosen = list(names)
        for parent in {(folder / name).parent for name in chosen}:
            parent.mkdir(parents=True, exist_ok=True)
        self._filesystem.get(
            [self._path(f"{prefix}/{name}") for name in chosen], [str(folder / name) for name in chosen]
        )

    def copy(self, names: Iterable[str], source: str, target: str) -> None:
        """Copies objects from one prefix to another inside of the store, several at a time.

        Raises:
            FileNotFoundError: one of them is not there.
        """
        chosen = list(names)
        self._filesystem.copy(
            [self._path(f"{source}/{name}") for name in chosen], [self._path(f"{target}/{name}") for name in chosen]
        )

    def remove(self, prefix: str) -> None:
        """Removes the object of this name and everything below it, as far as it is there."""
        with suppress(FileNotFoundError):
            self._filesystem.rm(self._path(prefix), recursive=True)

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}" if name else self._base
