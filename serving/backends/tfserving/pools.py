"""The upstreams of a gateway: models with the same servers share their connections."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from serving.backends.tfserving.pool import Pool
from serving.errors import UnavailableError
from serving.observability.upstream_metrics import UpstreamMetrics
from serving.upstream import Upstream

T = TypeVar("T")
_STOPPING = "the gateway is stopping"


class Pools:
    """Pools by their settings, on one event loop; `run` is for other threads, which load models and look for them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, metrics: UpstreamMetrics) -> None:
        self._loop = loop
        self._metrics = metrics
        self._pools: dict[Upstream, Pool] = {}
        self._working: set[asyncio.Future[Any]] = set()
        self._is_closed = False

    def run(self, upstream: Upstream, work: Callable[[Pool], Awaitable[T]]) -> T:
        """Has the event loop do something with a pool, and waits for what comes of it.

        Raises:
            OSError: a file of the upstream's TLS settings cannot be read.
            UnavailableError: the gateway is stopping.
        """

        async def on_loop() -> T:
            if self._is_closed:
                raise UnavailableError(_STOPPING)
            task = asyncio.ensure_future(work(self._pool(upstream)))
            self._working.add(task)
            task.add_done_callback(self._working.discard)
            return await task

        try:
            return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result()
        except concurrent.futures.CancelledError as error:
            raise UnavailableError(_STOPPING) from error

    async def close(self) -> None:
        """Gives up what is being asked, and closes all connections."""
        self._is_closed = True
        for task in self._working:
            task.cancel()
        for pool in self._pools.values():
            await pool.close()

    def _pool(self, upstream: Upstream) -> Pool:
        if upstream not in self._pools:
            self._pools[upstream] = Pool(upstream, self._metrics)
        return self._pools[upstream]
