"""Which models are to be served, and how: what the manager asks before it looks for their versions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from serving.model_config import ModelConfig
from serving.repository.local_source import is_folder, version_names


class Catalogue(Protocol):
    """The models of a gateway."""

    @property
    def is_slow(self) -> bool:
        """Whether `read` may take long, as over a network."""
        ...

    def read(self) -> Mapping[str, ModelConfig]:
        """The models by name, as they are configured now. Called in a thread, never twice at the same time.

        Raises:
            OSError, UnreachableError: it cannot be told, which says nothing about what should be served.
        """
        ...

    def problems(self) -> Mapping[str, str]:
        """What is wrong with the files that `read` looked at last, by the file's name; what they said before counts."""
        ...


class ScannedFolder:
    """Every folder in `root` is a model; a root that holds versions and no models is one, named like itself."""

    is_slow = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._is_base_path = False

    def read(self) -> dict[str, ModelConfig]:
        """The models by name; see `Catalogue.read`."""
        with os.scandir(self._root) as found:
            entries = [entry for entry in found if not entry.name.startswith(".") and is_folder(entry)]
        folders = {entry.name: self._root / entry.name for entry in sorted(entries, key=lambda entry: entry.name)}
        if self._is_base_path or version_names(entries):
            # It stays one when its last version is gone.
            self._is_base_path = not any(map(_holds_versions, folders.values()))
            if self._is_base_path:
                folders = {self._root.resolve().name: self._root}
        return {name: ModelConfig(base_path=str(folder), discovered=True) for name, folder in folders.items()}

    def problems(self) -> dict[str, str]:
        """None: a folder that cannot be listed raises."""
        return {}


def _holds_versions(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return bool(version_names(entries))
    except OSError:
        return False
