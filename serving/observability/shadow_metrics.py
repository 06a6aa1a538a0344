"""The figures of shadows: how many copies, whether they agreed, how far apart their numbers were, and how fast."""

from __future__ import annotations

import math
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram

from serving.observability.bulk_histogram import BUCKETS_S

REQUESTS = "atelier_shadow_requests"
ROWS = "atelier_shadow_rows"
MEAN_DISTANCE = "atelier_shadow_mean_distance"
MAX_DISTANCE = "atelier_shadow_max_distance"
SECONDS = "atelier_shadow_seconds"

_PAIR = ("model_name", "version", "primary_version")
_DISTANCES = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0, 100.0)


class Pair(NamedTuple):
    """Two versions of a model whose answers are compared: the shadow's, and the one that the client heard."""

    model_name: str
    version: int
    primary_version: int


class ShadowMetrics:
    """Figures of all shadows of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            REQUESTS, "Copies of requests: compared, failed or dropped.", [*_PAIR, "outcome"], registry=registry
        )
        self._rows = Counter(
            ROWS, "Compared rows of which both versions said the same, or not.", [*_PAIR, "verdict"], registry=registry
        )
        self._mean_distance = Histogram(
            MEAN_DISTANCE,
            "Mean absolute difference of both versions' numbers in one request.",
            _PAIR,
            buckets=_DISTANCES,
            registry=registry,
        )
        self._max_distance = Histogram(
            MAX_DISTANCE,
            "Largest absolute difference of both versions' numbers in one request.",
            _PAIR,
            buckets=_DISTANCES,
            registry=registry,
        )
        self._seconds = Histogram(
            SECONDS,
            "From the decoded request to the version's answer, of both sides of a comparison: primary and shadow.",
            [*_PAIR, "side"],
            buckets=BUCKETS_S,
            registry=registry,
        )

    def compared(
        self,
        pair: Pair,
        *,
        rows: int,
        agreeing: int,
        mean_distance: float,
        max_distance: float,
        primary_s: float,
        shadow_s: float,
    ) -> None:
        """Both have answered; a distance that is no number counts as a disagreement only."""
        labels = _labels(pair)
        self._requests.labels(*labels, "compared").inc()
        self._rows.labels(*labels, "agreed").inc(agreeing)
        self._rows.labels(*labels, "disagreed").inc(rows - agreeing)
        if math.isfinite(max_distance):
            self._mean_distance.labels(*labels).observe(mean_distance)
            self._max_distance.labels(*labels).observe(max_distance)
        self._seconds.labels(*labels, "primary").observe(primary_s)
        self._seconds.labels(*labels, "shadow").observe(shadow_s)

    def failed(self, pair: Pair) -> None:
        """The shadow did not answer, or not in a form that can be compared."""
        self._requests.labels(*_labels(pair), "failed").inc()

    def dropped(self, pair: Pair) -> None:
        """There was no room for a copy."""
        self._requests.labels(*_labels(pair), "dropped").inc()

    def forget_version(self, model_name: str, version: int) -> None:
        """A version is gone: its comparisons would only pile up."""
        for figure in (self._requests, self._rows, self._mean_distance, self._max_distance, self._seconds):
            for side in ("version", "primary_version"):
                figure.remove_by_labels({"model_name": model_name, side: str(version)})


def _labels(pair: Pair) -> tuple[str, str, str]:
    return pair.model_name, str(pair.version), str(pair.primary_version)
