"""A model's base path in an object store: which versions are there whole.

NAME/3/            a version; manifest.json is the last of its objects that export writes, and the first it removes
NAME/.versions/3   export gave this number: without a manifest, the version is not whole yet, or no more

A number that export did not give may have been uploaded by anybody, in any order: it has to look the same twice.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

from serving.bundle_files import MANIFEST
from serving.errors import BundleError, UnreachableError
from serving.repository.local_source import is_version_number
from serving.repository.model_cache import ModelCache
from serving.repository.source import NOTHING_SEEN, Fingerprint, Found
from serving.repository.store import Entry, Store, fingerprint_of
from serving.version_labels import VERSION_LABELS, parse_version_labels


@dataclass(frozen=True, slots=True)
class StoreVersion:
    """A version in a store: the model's address, and the name of its prefix there."""

    base_path: str
    name: str

    is_elsewhere: ClassVar[bool] = True

    def fingerprint(self) -> Fingerprint:
        """Names, sizes and tags of its objects."""
        try:
            return fingerprint_of(Store(self.base_path).files(self.name))
        except UnreachableError:
            return NOTHING_SEEN


class StoreSource:
    """Lists an address, at most every `every_s`; what is needed of it stays in the cache, the rest leaves it."""

    is_slow = True

    def __init__(self, base_path: str, cache: ModelCache, every_s: float) -> None:
        self._base_path = base_path
        self._cache = cache
        self._every_s = every_s
        self._whole: set[str] = set()
        self._labels: tuple[Entry, Mapping[str, int]] | None = None
        self._found: Found | None = None
        self._next_look_at = 0.0

    def look(self) -> Found:
        """Its versions and labels; see `Source.look`."""
        now = time.monotonic()
        if self._found is not None and now < self._next_look_at:
            return self._found
        self._next_look_at = now + self._every_s
        try:
            found = self._list()
        except UnreachableError as error:
            if self._found is not None or not (cached := self._cache.versions(self._base_path)):
                raise
            # A gateway that starts while the store is out of reach serves what it has fetched before.
            origins = {number: StoreVersion(self._base_path, name) for number, name in cached.items()}
            return Found(origins, problem=str(error))
        self._found = found
        return found

    def retain(self, versions: Collection[int]) -> None:
        """Removes all others from the cache."""
        self._cache.retain(self._base_path, versions)

    def _list(self) -> Found:
        store = Store(self._base_path)
        entries = store.entries()
        names = [entry.name for entry in entries if entry.is_prefix and is_version_number(entry.name)]
        self._whole &= set(names)
        claimed = any(entry.name == ".versions" for entry in entries)
        origins = {
            int(name): StoreVersion(self._base_path, name)
            for name in sorted(names, key=len, reverse=True)
            if self._is_whole(store, name, claimed=claimed)
        }
        labels, problem = self._read_labels(store, entries)
        return Found(origins, labels, problem)

    def _is_whole(self, store: Store, name: str, *, claimed: bool) -> bool:
        if name not in self._whole:
            if store.exists(f"{name}/{MANIFEST}"):
                self._whole.add(name)
            elif claimed and store.exists(f".versions/{int(name)}"):
                return False
        return True

    def _read_labels(self, store: Store, entries: Collection[Entry]) -> tuple[Mapping[str, int], str | None]:
        entry = next((entry for entry in entries if entry.name == VERSION_LABELS), None)
        if entry is None:
            return {}, None
        if self._labels is None or self._labels[0] != entry:
            try:
                self._labels = (entry, parse_version_labels(store.read(VERSION_LABELS)))
            except FileNotFoundError:
                return {}, None
            except BundleError as error:
                return {}, str(error)
        return self._labels[1], None
