"""Versions that TensorFlow Serving servers have: they appear here as they become available there, and go with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from serving.backends.tfserving.backend import TfServingBackend
from serving.backends.tfserving.messages import VersionState
from serving.backends.tfserving.pool import Pool
from serving.backends.tfserving.pools import Pools
from serving.errors import ModelNotFoundError, ServingError
from serving.repository.source import Fingerprint, Found
from serving.upstream import Upstream


@dataclass(frozen=True)
class UpstreamVersion:
    """A version of a model on an upstream's servers; `failures` counts, by version, how often asking for one failed."""

    pools: Pools
    upstream: Upstream
    model: str
    version: int
    failures: Counter[int] = field(compare=False)

    is_elsewhere: ClassVar[bool] = True

    def fingerprint(self) -> Fingerprint:
        """The server vouches for the version and never changes it; one that could not be asked is asked again."""
        return Fingerprint((("failures", self.failures[self.version], 0),), is_whole=True)

    def load(self) -> TfServingBackend:
        """Asks for its signatures; see `RemoteOrigin.load`."""
        try:
            return self.pools.run(self.upstream, lambda pool: TfServingBackend.load(pool, self.model, self.version))
        except ServingError:
            self.failures[self.version] += 1
            raise


class UpstreamSource:
    """One model on an upstream's servers."""

    is_slow = True

    def __init__(self, pools: Pools, upstream: Upstream, model: str) -> None:
        self._pools = pools
        self._upstream = upstream
        self._model = model
        self._failures: Counter[int] = Counter()

    def look(self) -> Found:
        """The versions that answer on some server, and what the labels mean there; see `Source.look`."""
        try:
            statuses, labels = self._pools.run(self._upstream, self._ask)
        except ModelNotFoundError as error:
            return Found(problem=str(error))
        except ServingError as error:
            raise OSError(0, str(error)) from error
        origins = {
            version: UpstreamVersion(self._pools, self._upstream, self._model, version, self._failures)
            for version, status in statuses.items()
            if status.is_available
        }
        broken = [f"version {version}: {status.error}" for version, status in sorted(statuses.items()) if status.error]
        return Found(origins, labels, None if origins else "; ".join(broken) or None)

    def retain(self, versions: Collection[int]) -> None:
        """Nothing: the servers keep what they like."""

    async def _ask(self, pool: Pool) -> tuple[Mapping[int, VersionState], dict[str, int]]:
        return await pool.look(self._model), await pool.labels(self._model)
