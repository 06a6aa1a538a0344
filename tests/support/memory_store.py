"""Models in fsspec's store in memory, which only this process sees."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from serving.bundle_files import MANIFEST

_addresses = itertools.count()


class MemoryStore:
    """One address of its own."""

    def __init__(self) -> None:
        self.address = f"memory://serving-{next(_addresses)}/models"
        self._files: Any = fsspec.filesystem("memory")

    def upload(self, bundle: Path, name: str, *, claimed: bool = True, manifest: bool = True) -> None:
        """Makes a version, such as `digits/3`, of a folder; as export does, manifest last, number claimed."""
        model, _, number = name.rpartition("/")
        if claimed:
            self.write(f"{model}/.versions/{number}", b"somebody")
        for path in sorted(bundle.rglob("*"), key=lambda path: path.name == MANIFEST):
            if path.is_file() and (manifest or path.name != MANIFEST):
                self.write(f"{name}/{path.relative_to(bundle).as_posix()}", path.read_bytes())

    def write(self, name: str, content: bytes) -> None:
        """Makes or replaces an object."""
        self._files.pipe_file(f"{self.address}/{name}", content)

    def remove(self, name: str) -> None:
        """Removes an object, or all below a prefix."""
        self._files.rm(f"{self.address}/{name}", recursive=True)


class UnreachableStore:
    """A block in which every call of the store in memory fails, as if the network were gone."""

    def __init__(self, monkeypatch: Any) -> None:
        self._monkeypatch = monkeypatch

    def __enter__(self) -> None:
        def fail(*_: object, **__: object) -> None:
            raise ConnectionError("the network is gone")

        self._patches = self._monkeypatch.context()
        patch = self._patches.__enter__()
        for method in ("ls", "find", "info", "cat_file", "get"):
            patch.setattr(MemoryFileSystem, method, fail)

    def __exit__(self, *_: object) -> None:
        self._patches.__exit__(None, None, None)
