"""Counts of finished requests, added up in bulk: prometheus_client's own counting took a request more than 1 µs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

_MOST_PENDING = 4096


class RequestFigures(Collector):
    """How many requests ended how, by model, protocol and outcome, and how long they took, by model and protocol.

    Used on one thread.
    """

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = np.array(bounds_s)
        self._pending: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
        self._ended: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._in_bucket: defaultdict[tuple[str, str], np.ndarray] = defaultdict(
            lambda: np.zeros(len(bounds_s) + 1, np.int64)
        )
        self._seconds: defaultdict[tuple[str, str], float] = defaultdict(float)

    def ended(self, model_name: str, api: str, outcome: str, seconds: float) -> None:
        """One request ended, after that long."""
        pending = self._pending[model_name, api, outcome]
        pending.append(seconds)
        if len(pending) >= _MOST_PENDING:
            self._add_up()

    def collect(self) -> Iterator[Metric]:
        """The figures now; see prometheus_client's `Collector`."""
        self._add_up()
        requests = CounterMetricFamily(
            "atelier_requests", "Requests answered.", labels=["model_name", "api", "outcome"]
        )
        for ended, count in self._ended.items():
            requests.add_metric(ended, count)
        yield requests
        latency = HistogramMetricFamily(
            "atelier_request_latency_seconds",
            "From the request's body received to its answer encoded.",
            labels=["model_name", "api"],
        )
        bounds = [*map(floatToGoString, self._bounds_s), "+Inf"]
        for labels, in_bucket in self._in_bucket.items():
            at_most = zip(bounds, in_bucket.cumsum().tolist(), strict=True)
            latency.add_metric(labels, list(at_most), self._seconds[labels])
        yield latency

    def _add_up(self) -> None:
        for (model_name, api, outcome), pending in self._pending.items():
            self._ended[model_name, api, outcome] += len(pending)
            buckets = np.searchsorted(self._bounds_s, pending)
            self._in_bucket[model_name, api] += np.bincount(buckets, minlength=len(self._bounds_s) + 1)
            self._seconds[model_name, api] += sum(pending)
        self._pending.clear()
