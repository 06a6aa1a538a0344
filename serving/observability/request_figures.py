"""Counts of finished requests, added up in bulk: prometheus_client's own counting took a request more than 1 µs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.observability.bulk_histogram import BUCKETS_S, Tally

_MOST_PENDING = 4096


class RequestFigures(Collector):
    """How many requests ended how, by model, protocol and outcome, and how long they took, by model and protocol.

    Used on one thread.
    """

    def __init__(self) -> None:
        self._pending: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
        self._ended: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._latency: defaultdict[tuple[str, str], Tally] = defaultdict(lambda: Tally(BUCKETS_S))

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
        for labels, tally in self._latency.items():
            tally.add_to(latency, labels)
        yield latency

    def _add_up(self) -> None:
        for (model_name, api, outcome), pending in self._pending.items():
            self._ended[model_name, api, outcome] += len(pending)
            self._latency[model_name, api].observe_all(pending)
        self._pending.clear()
