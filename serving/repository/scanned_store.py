"""A folder of models in an object store."""

from __future__ import annotations

import time

from serving.errors import UnreachableError
from serving.model_config import ModelConfig
from serving.repository.local_source import is_version_number
from serving.repository.model_cache import ModelCache
from serving.repository.store import Store


class ScannedStore:
    """Every prefix below `root` is a model; a root with nothing but versions is one, named like itself.

    It is listed at most every `every_s`.
    """

    is_slow = True

    def __init__(self, root: str, cache: ModelCache, every_s: float) -> None:
        self._root = root.rstrip("/")
        self._cache = cache
        self._every_s = every_s
        self._next_look_at = 0.0
        self._found: dict[str, ModelConfig] | None = None

    def read(self) -> dict[str, ModelConfig]:
        """The models by name; see `Catalogue.read`. While the store is out of reach, those that were fetched before."""
        now = time.monotonic()
        if self._found is not None and now < self._next_look_at:
            return self._found
        self._next_look_at = now + self._every_s
        try:
            names = [entry.name for entry in Store(self._root).entries() if entry.is_prefix]
        except UnreachableError:
            if self._found is not None or not (names := self._cache.models(self._root)):
                raise
            return self._configs(names)
        self._found = self._configs(sorted(name for name in names if not name.startswith(".")))
        return self._found

    def _configs(self, names: list[str]) -> dict[str, ModelConfig]:
        if names and all(map(is_version_number, names)):
            return {self._root.rpartition("/")[2]: ModelConfig(base_path=self._root, discovered=True)}
        return {name: ModelConfig(base_path=f"{self._root}/{name}", discovered=True) for name in names}
