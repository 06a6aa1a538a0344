"""A shadow's figures as a person reads them."""

from __future__ import annotations

from prometheus_client.samples import Sample

from serving.observability.metrics import Metrics
from serving.observability.shadow_metrics import Pair
from serving.traffic.comparison import Comparison, comparisons


def samples(metrics: Metrics) -> list[Sample]:
    return [sample for family in metrics.registry.collect() for sample in family.samples]


def compared(metrics: Metrics, pair: Pair, *, agreeing: int, max_distance: float) -> None:
    metrics.shadow.compared(
        pair,
        rows=4,
        agreeing=agreeing,
        mean_distance=max_distance / 2,
        max_distance=max_distance,
        primary_s=0.5,
        shadow_s=0.25,
    )


def test_without_figures_there_is_no_comparison() -> None:
    assert comparisons(samples(Metrics()), "digits") == []


def test_what_was_counted_is_added_up_by_pair_of_versions() -> None:
    metrics = Metrics()
    pair = Pair("digits", 4, 3)
    compared(metrics, pair, agreeing=4, max_distance=0.0005)
    compared(metrics, pair, agreeing=2, max_distance=0.02)
    metrics.shadow.dropped(pair)
    metrics.shadow.failed(pair)
    metrics.shadow.failed(Pair("digits", 5, 3))
    metrics.shadow.failed(Pair("clothes", 4, 3))
    found = comparisons(samples(metrics), "digits")
    assert found == [
        Comparison(5, 3, 0, 1, 0, 0, None, None, None, None, None),
        Comparison(4, 3, 2, 1, 1, 8, 0.75, (0.00025 + 0.01) / 2, 0.05, 500.0, 250.0),
    ]


def test_equal_answers_have_no_distance() -> None:
    metrics = Metrics()
    compared(metrics, Pair("digits", 4, 3), agreeing=4, max_distance=0.0)
    (one,) = comparisons(samples(metrics), "digits")
    assert (one.agreement, one.max_distance_at_most) == (1.0, 0.0)


def test_a_distance_beyond_the_last_bound_has_none() -> None:
    metrics = Metrics()
    compared(metrics, Pair("digits", 4, 3), agreeing=0, max_distance=1e6)
    compared(metrics, Pair("digits", 5, 3), agreeing=0, max_distance=float("inf"))
    newest, older = comparisons(samples(metrics), "digits")
    assert (older.max_distance_at_most, older.mean_distance) == (None, 5e5)
    assert (newest.max_distance_at_most, newest.mean_distance, newest.agreement) == (None, None, 0.0)
