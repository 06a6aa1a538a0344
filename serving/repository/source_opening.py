"""Which kind of source a model's configuration asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from importlib import import_module
from typing import TYPE_CHECKING

from serving.model_config import ModelConfig
from serving.observability.upstream_metrics import UpstreamMetrics
from serving.repository.local_source import LocalSource
from serving.repository.model_cache import ModelCache
from serving.repository.source import Found, Source
from serving.repository.store import is_address, local_path
from serving.repository.store_source import StoreSource

if TYPE_CHECKING:
    from serving.backends.tfserving.pools import Pools


class Sources:
    """Opens sources on an event loop; those on an upstream share its connections.

    What asks an upstream is imported only where a model is on one.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        cache: ModelCache,
        store_poll_interval_s: float,
        metrics: UpstreamMetrics,
    ) -> None:
        self._loop = loop
        self._metrics = metrics
        self._cache = cache
        self._store_poll_interval_s = store_poll_interval_s
        self._pools: Pools | None = None

    def open(self, name: str, config: ModelConfig) -> Source:
        """What to look at for the model's versions; opens nothing yet."""
        if config.backend != "tfserving":
            if is_address(config.base_path):
                return StoreSource(config.base_path, self._cache, self._store_poll_interval_s)
            return LocalSource(local_path(config.base_path))
        if config.upstream is None:
            return NoUpstream()
        if self._pools is None:
            self._pools = import_module("serving.backends.tfserving.pools").Pools(self._loop, self._metrics)
        source: Source = import_module("serving.repository.upstream_source").UpstreamSource(
            self._pools, config.upstream, name
        )
        return source

    async def close(self) -> None:
        """Closes the connections."""
        if self._pools is not None:
            await self._pools.close()


class NoUpstream:
    """A model on an upstream that nobody named."""

    is_slow = False

    def look(self) -> Found:
        """No version, and why; see `Source.look`."""
        return Found(
            problem="the back end tfserving expects an upstream, or addresses for all models, received neither"
        )

    def retain(self, versions: Collection[int]) -> None:
        """Nothing: there is none."""
