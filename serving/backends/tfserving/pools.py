"""The upstreams of a gateway: models with the same servers share their connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from serving.backends.tfserving.pool import Pool
from serving.upstream import Upstream

T = TypeVar("T")


class Pools:
    """Pools by their settings, on one event loop; `run` is for other threads, which load models and look for them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pools: dict[Upstream, Pool] = {}

    def run(self, upstream: Upstream, work: Callable[[Pool], Awaitable[T]]) -> T:
        """Has the event loop do something with a pool, and waits for what comes of it.

        Raises:
            OSError: a file of the upstream's TLS settings cannot be read.
        """

        async def on_loop() -> T:
            return await work(self._pool(upstream))

        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result()

    async def close(self) -> None:
        """Closes all connections."""
        for pool in self._pools.values():
            await pool.close()

    def _pool(self, upstream: Upstream) -> Pool:
        if upstream not in self._pools:
            self._pools[upstream] = Pool(upstream)
        return self._pools[upstream]
