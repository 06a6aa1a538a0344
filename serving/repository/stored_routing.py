"""What promote and rollback have written about each model: its labels and its traffic, looked at again and again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote

from serving.errors import BundleError
from serving.traffic.files import Stamp, read_traffic, stamp
from serving.traffic.settings import TrafficSettings
from serving.version_labels import read_version_labels


class StoredRouting(NamedTuple):
    """What a model's files say, or said before one of them was broken."""

    labels: Mapping[str, int] = MappingProxyType({})
    traffic: TrafficSettings | None = None
    problem: str | None = None
    """What could not be understood, in a sentence for the operator."""


NOTHING_STORED = StoredRouting()


class StoredFiles:
    """Where the files of each model are, and what they say.

    They lie in the model's base path; `state_dir`, where it is given, has a folder for each model whose files win over
    those, and in which changes are written.
    """

    def __init__(self, state_dir: Path | None = None) -> None:
        self._state_dir = state_dir
        self._seen: dict[str, tuple[tuple[Path, ...], tuple[Stamp, ...], StoredRouting]] = {}

    def folder(self, name: str, base_path: str) -> Path | None:
        """Where changes of the model are written; None where there is no place for them."""
        return next(reversed(self._folders(name, base_path)), None)

    def look(self, base_paths: Mapping[str, str]) -> dict[str, StoredRouting]:
        """What the files say now, by model; files that have not changed are not read again. Called in a thread."""
        self._seen = {name: seen for name, seen in self._seen.items() if name in base_paths}
        return {name: self._look(name, base_path) for name, base_path in base_paths.items()}

    def _look(self, name: str, base_path: str) -> StoredRouting:
        folders = self._folders(name, base_path)
        before = self._seen.get(name)
        known = before[2] if before is not None and before[0] == folders else NOTHING_STORED
        try:
            stamps = tuple(stamp(folder) for folder in folders)
            if before is not None and before[:2] == (folders, stamps):
                return known
            labels = {label: version for one in folders for label, version in read_version_labels(one).items()}
            traffic = next((found for one in reversed(folders) if (found := read_traffic(one)) is not None), None)
        except BundleError as error:
            stored = known._replace(problem=str(error))
        except OSError as error:
            return known._replace(problem=f"labels cannot be read: {error.strerror or type(error).__name__}")
        else:
            stored = StoredRouting(labels, traffic)
        self._seen[name] = (folders, stamps, stored)
        return stored

    def _folders(self, name: str, base_path: str) -> tuple[Path, ...]:
        """Those of less weight first."""
        beside = () if not base_path or "://" in base_path else (Path(base_path),)
        return beside if self._state_dir is None else (*beside, self._state_dir / _folder_name(name))


def _folder_name(name: str) -> str:
    quoted = quote(name, safe="")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted
