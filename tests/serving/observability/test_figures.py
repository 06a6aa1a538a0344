"""Figures of several workers as one, and as text."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from serving.observability.exposition import expose
from serving.observability.figures import Family, Sample, added_up, of_living_versions, surviving
from serving.observability.metrics import Metrics
from serving.observability.tfserving_figures import as_tfserving
from serving.repository.transition import State


def worker(requests: int, version: int = 1) -> list[Family]:
    """The figures of a worker that has answered so many requests, each in 3 ms and in a batch of two rows."""
    metrics = Metrics()
    observe = metrics.batch_observer("digits", version)
    for _ in range(requests):
        metrics.request("digits", "tfs_grpc", "ok", 0.003)
        observe(rows=2, requests=1, oldest_wait_s=0.001, run_s=0.002)
    metrics.queue("digits", version, lambda: 5)
    metrics.version_state("digits", version, State.AVAILABLE)
    return metrics.figures()


def values(families: list[Family]) -> dict[str, float]:
    """By name and labels, as they are written."""
    return dict(line.rsplit(" ", 1) for line in expose(families).splitlines() if not line.startswith("#"))  # type: ignore[arg-type]


def test_counters_histograms_and_gauges_of_all_workers_are_added_up() -> None:
    both = values(added_up([worker(3), worker(4)]))
    assert both['atelier_requests_total{api="tfs_grpc",model_name="digits",outcome="ok"}'] == "7.0"
    assert both['atelier_request_latency_seconds_bucket{api="tfs_grpc",le="0.0025",model_name="digits"}'] == "0.0"
    assert both['atelier_request_latency_seconds_bucket{api="tfs_grpc",le="0.005",model_name="digits"}'] == "7.0"
    assert both['atelier_batch_rows_sum{model_name="digits",version="1"}'] == "14.0"
    assert both['atelier_queue_rows{model_name="digits",version="1"}'] == "10.0"
    assert both['atelier_version_state{model_name="digits",state="AVAILABLE",version="1"}'] == "2.0"


def test_what_only_one_worker_counts_is_kept() -> None:
    both = values(added_up([worker(3), worker(0, version=2)]))
    assert both['atelier_requests_total{api="tfs_grpc",model_name="digits",outcome="ok"}'] == "3.0"
    assert both['atelier_queue_rows{model_name="digits",version="2"}'] == "5.0"


def test_counters_outlive_their_process_and_gauges_do_not() -> None:
    ended = surviving(worker(3))
    assert {family.kind for family in ended} == {"counter", "histogram"}
    after = values(added_up([ended, worker(4)]))
    assert after['atelier_requests_total{api="tfs_grpc",model_name="digits",outcome="ok"}'] == "7.0"
    assert after['atelier_queue_rows{model_name="digits",version="1"}'] == "5.0"


def test_figures_of_ended_processes_go_with_the_version() -> None:
    kept = values(of_living_versions(surviving(worker(3, version=1)), worker(0, version=2)))
    assert [name for name in kept if 'version="' in name] == []
    assert kept['atelier_requests_total{api="tfs_grpc",model_name="digits",outcome="ok"}'] == "3.0"


def test_a_version_has_one_state_at_a_time_until_it_is_gone() -> None:
    metrics = Metrics()
    metrics.version_state("digits", 1, State.LOADING)
    metrics.version_state("digits", 1, State.AVAILABLE)
    shown = [name for name in values(metrics.figures()) if name.startswith("atelier_version_state")]
    assert shown == ['atelier_version_state{model_name="digits",state="AVAILABLE",version="1"}']
    metrics.forget_version("digits", 1)
    assert "atelier_version_state{" not in expose(metrics.figures())


def test_any_text_comes_through_the_format() -> None:
    odd = 'a "b"\\c\nd'
    text = expose([Family("odd", odd, "gauge", [Sample("odd", {"name": odd}, float("inf"))])])
    (family,) = text_string_to_metric_families(text)
    assert (family.documentation, family.type) == (odd, "gauge")
    assert [(sample.labels, sample.value) for sample in family.samples] == [({"name": odd}, float("inf"))]


def test_tensorflow_servings_names_hold_the_same_counts_in_its_units() -> None:
    text = expose(as_tfserving(worker(3)))
    assert "# TYPE :tensorflow:serving:request_count counter\n" in text
    aliases = values(as_tfserving(worker(3)))
    start = ":tensorflow:serving:"
    assert aliases[f'{start}request_count{{model_name="digits",status="OK"}}'] == "3.0"
    latency = f'{start}request_latency_bucket{{API="Predict",entrypoint="GRPC",le="%s",model_name="digits"}}'
    assert [aliases[latency % bound] for bound in ("2500", "5000", "+Inf")] == ["0.0", "3.0", "3.0"]
    assert float(aliases[f'{start}runtime_latency_sum{{API="Predict",model_name="digits",runtime="ONNX"}}']) == 6000
    assert float(aliases[f'{start}batching_session:queuing_latency_sum{{thread_pool_name="digits"}}']) == 3000
    assert aliases[f"{start}batching_session:wrapped_run_count"] == "3.0"


def test_a_label_that_moves_leaves_nothing_behind() -> None:
    metrics = Metrics()
    metrics.labels("digits", {"stable": 1, "canary": 2})
    metrics.labels("digits", {"stable": 2})
    shown = [name for name in values(metrics.figures()) if name.startswith("atelier_label_version")]
    assert shown == ['atelier_label_version{label="stable",model_name="digits",version="2"}']
    metrics.labels("digits", {})
    assert "atelier_label_version{" not in expose(metrics.figures())
