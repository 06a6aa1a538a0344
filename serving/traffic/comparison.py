"""What a shadow has found out so far, from the figures of all workers. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from serving.observability.shadow_metrics import MAX_DISTANCE, MEAN_DISTANCE, REQUESTS, ROWS, SECONDS


class Sample(Protocol):
    """One number of Prometheus' figures."""

    @property
    def name(self) -> str:
        """Such as `atelier_shadow_rows_total`."""

    @property
    def labels(self) -> Mapping[str, str]:
        """By their names."""

    @property
    def value(self) -> float:
        """As counted so far."""


@dataclass(frozen=True)
class Comparison:
    """One version's answers beside those of another, which clients heard; None where nothing was compared yet."""

    version: int
    primary_version: int
    compared: int
    """Requests that both answered."""
    failed: int
    """Requests that the shadow did not answer, or not in a form that can be compared."""
    dropped: int
    """Requests for which the shadow was too busy."""
    rows: int
    agreement: float | None
    """The part of the rows with the same best class, or with numbers within the tolerance."""
    mean_distance: float | None
    """Mean absolute difference of all numbers, averaged over requests."""
    max_distance_at_most: float | None
    """No two numbers were further apart than this, the next of the histogram's bounds; None also above the last."""
    primary_mean_ms: float | None
    shadow_mean_ms: float | None


def comparisons(samples: Iterable[Sample], model_name: str) -> list[Comparison]:
    """Each pair of a model's versions that has been compared, the newest first."""
    pairs: dict[tuple[int, int], dict[tuple[str, ...], float]] = {}
    for sample in samples:
        labels = sample.labels
        if sample.name.startswith("atelier_shadow_") and labels.get("model_name") == model_name:
            pair = int(labels["version"]), int(labels["primary_version"])
            detail = next((labels[key] for key in ("outcome", "verdict", "side", "le") if key in labels), "")
            pairs.setdefault(pair, {})[sample.name, detail, labels.get("le", "")] = sample.value
    return [_comparison(pair, pairs[pair]) for pair in sorted(pairs, reverse=True)]


def _comparison(pair: tuple[int, int], values: Mapping[tuple[str, ...], float]) -> Comparison:
    def value(name: str, detail: str = "") -> float:
        return values.get((name, detail, ""), 0.0)

    agreed, disagreed = value(f"{ROWS}_total", "agreed"), value(f"{ROWS}_total", "disagreed")
    measured = value(f"{MAX_DISTANCE}_count")
    below = {float(key[2]): count for key, count in values.items() if key[0] == f"{MAX_DISTANCE}_bucket"}
    largest = min((bound for bound, count in below.items() if measured and count >= measured), default=math.inf)
    return Comparison(
        version=pair[0],
        primary_version=pair[1],
        compared=int(value(f"{REQUESTS}_total", "compared")),
        failed=int(value(f"{REQUESTS}_total", "failed")),
        dropped=int(value(f"{REQUESTS}_total", "dropped")),
        rows=int(agreed + disagreed),
        agreement=_ratio(agreed, agreed + disagreed),
        mean_distance=_ratio(value(f"{MEAN_DISTANCE}_sum"), value(f"{MEAN_DISTANCE}_count")),
        max_distance_at_most=largest if math.isfinite(largest) else None,
        primary_mean_ms=_ratio(1000 * value(f"{SECONDS}_sum", "primary"), value(f"{SECONDS}_count", "primary")),
        shadow_mean_ms=_ratio(1000 * value(f"{SECONDS}_sum", "shadow"), value(f"{SECONDS}_count", "shadow")),
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
