"""Adding up in bulk comes to the same as prometheus_client's own counting."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from serving.observability import bulk_histogram
from serving.observability.bulk_histogram import BulkHistogram

BOUNDS = (0.5, 1.0, 4.0)
values = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 4.0]), st.floats(0, 10))


def samples(registry: CollectorRegistry) -> dict[tuple[str, Any], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): round(sample.value, 6)
        for metric in registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(st.tuples(st.sampled_from(["1", "2"]), values)))
def test_samples_are_those_of_prometheus_clients_histogram(observed: list[tuple[str, float]]) -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    histogram = Histogram("rows", "Rows.", ["version"], buckets=BOUNDS, registry=theirs)
    bulk = BulkHistogram("rows", "Rows.", ["version"], BOUNDS)
    ours.register(bulk)
    for version, value in observed:
        histogram.labels(version).observe(value)
        bulk.observer(version)(value)
    assert samples(ours) == samples(theirs)


def test_what_was_removed_is_gone_and_begins_anew() -> None:
    registry, bulk = CollectorRegistry(), BulkHistogram("rows", "Rows.", ["version"], BOUNDS)
    registry.register(bulk)
    bulk.observer("1")(3.0)
    bulk.remove("1")
    bulk.remove("2")
    assert samples(registry) == {}
    bulk.observer("1")
    assert registry.get_sample_value("rows_count", {"version": "1"}) == 0.0


def test_observations_that_nobody_reads_take_no_more_and_more_memory() -> None:
    bulk = BulkHistogram("rows", "Rows.", [], BOUNDS)
    observe = bulk.observer()
    for _ in range(3 * bulk_histogram._MOST_PENDING + 1):
        observe(1.0)
    (tally,) = bulk._tallies.values()
    assert len(tally._pending) == 1
