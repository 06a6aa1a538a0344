"""The gateway's models from all that may name them: a models folder, `models.config`, `atelier.toml`, a reload."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from serving.errors import InvalidInputError
from serving.model_config import ModelConfig
from serving.repository.atelier_toml import Tables, has_place, parse_model_tables, with_tables
from serving.repository.catalogue import ScannedFolder
from serving.repository.defaults import Defaults, defaults_of, with_defaults
from serving.repository.model_cache import ModelCache
from serving.repository.reload_file import Reloaded, read_reloaded, write_reloaded
from serving.repository.scanned_store import ScannedStore
from serving.repository.store import is_address, local_path
from serving.repository.watched_file import WatchedFile
from serving.settings import OWN_FILE, ServingSettings


class Configuration:
    """A catalogue (see `catalogue.Catalogue`) over files that may change at any time.

    The models are those of `models_config`, or else what `scanned` finds. A reload replaces either until the gateway
    stops, or `models_config` gets another content. The tables of `own_file` add to all of them. `shared` is a folder
    that the workers of a gateway share for as long as it runs. What models don't say, `gateway` says for them.
    """

    def __init__(
        self,
        scanned: ScannedFolder | ScannedStore,
        models_config: Path | None,
        own_file: Path,
        shared: Path,
        gateway: Defaults = Defaults(),  # noqa: B008 -- frozen
    ) -> None:
        self._gateway = gateway
        self._scanned = scanned
        self._was_scanned = False
        self._listed = _listed(models_config, shared) if models_config is not None else None
        self._tables: WatchedFile[Tables] = WatchedFile(
            own_file, parse_model_tables, last_good=shared / f"last-good-{own_file.name}", absent={}
        )
        self._reloaded = shared / "reloaded.json"

    @classmethod
    def of(cls, settings: ServingSettings, shared: Path, cache: ModelCache) -> Self:
        """What the settings name."""
        scanned = (
            ScannedStore(settings.models, cache, settings.store_poll_interval_s)
            if is_address(settings.models)
            else ScannedFolder(local_path(settings.models))
        )
        return cls(scanned, settings.model_config_file, Path(OWN_FILE), shared, defaults_of(settings))

    @property
    def is_slow(self) -> bool:
        """Whether `read` may take long."""
        return self._listed is None and self._scanned.is_slow

    def read(self) -> dict[str, ModelConfig]:
        """The models by name; see `Catalogue.read`."""
        tables = self._tables.read() or {}
        listed = self._listed.read() if self._listed is not None else None
        reloaded = read_reloaded(self._reloaded)
        if reloaded is not None and reloaded.instead_of == self._digest:
            return with_defaults(with_tables(reloaded.models, tables, only_listed=True), self._gateway)
        models = (listed or {}) if self._listed is not None else self._scan(tables)
        return with_defaults(with_tables({**models, **self._gateway.models}, tables), self._gateway)

    def problems(self) -> Mapping[str, str]:
        """What is wrong with the files; see `Catalogue.problems`."""
        files = [file for file in (self._listed, self._tables) if file is not None]
        return {file.path.name: file.problem for file in files if file.problem is not None}

    def check(self) -> None:
        """Reads all that is on this machine for the first time.

        Raises:
            InvalidInputError: a file is broken, and there is nothing from before that could be served.
            OSError: the models folder cannot be listed.
        """
        if self.is_slow:
            self._tables.read()
        else:
            self.read()
        for problem in self.problems().values():
            raise InvalidInputError(problem)

    def replace(self, models: Mapping[str, ModelConfig]) -> None:
        """Has these be the models, instead of what the models folder or `models_config` says.

        Raises:
            OSError: the file that the workers share cannot be written.
        """
        write_reloaded(self._reloaded, Reloaded(models=dict(models), instead_of=self._digest))

    @property
    def _digest(self) -> str:
        return self._listed.digest if self._listed is not None else ""

    def _scan(self, tables: Tables) -> Mapping[str, ModelConfig]:
        try:
            found = self._scanned.read()
        except FileNotFoundError:
            # Who describes models elsewhere needs no models folder. One that was there is only out of reach.
            if self._was_scanned or not (self._gateway.models or any(map(has_place, tables.values()))):
                raise
            return {}
        self._was_scanned = True
        return found


def _listed(models_config: Path, shared: Path) -> WatchedFile[dict[str, ModelConfig]]:
    from serving.repository.tfserving_config import parse_models_config  # brings protobuf

    return WatchedFile(models_config, parse_models_config, last_good=shared / f"last-good-{models_config.name}")
