"""The figures of an upstream's servers: what each was asked, and whether it is well."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class UpstreamMetrics:
    """Figures of all servers that one worker asks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rpcs = Counter(
            "atelier_upstream_rpcs",
            "Batches and questions sent to a server: answered, refused, or lost with the connection.",
            ["server", "outcome"],
            registry=registry,
        )
        self._up = Gauge("atelier_upstream_up", "Workers for which the server is well.", ["server"], registry=registry)

    def counter(self, server: str) -> Callable[[str], None]:
        """Counts one RPC to the server by its outcome: `answered`, `refused` or `lost`."""
        children = {outcome: self._rpcs.labels(server, outcome) for outcome in ("answered", "refused", "lost")}
        return lambda outcome: children[outcome].inc()

    def follow(self, server: str, is_up: Callable[[], bool]) -> None:
        """Asks, whenever somebody wants to know, whether the server is well."""
        self._up.labels(server).set_function(lambda: float(is_up()))
