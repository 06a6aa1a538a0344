"""The figures that `atelier status` shows, out of those that Prometheus gets. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from serving.observability.figures import Figures, Sample

_OF_PROCESS: Mapping[str, str] = {
    "process_resident_memory_bytes": "resident_bytes",
    "process_cpu_seconds_total": "cpu_s",
    "process_open_fds": "open_fds",
}
_OF_VERSION: Mapping[str, str] = {
    "atelier_queue_rows": "queue_rows",
    "atelier_requests_in_flight": "in_flight",
    "atelier_batch_rows_count": "batches",
    "atelier_batch_rows_sum": "rows",
}


def process_of(figures: Figures, worker: str) -> dict[str, float]:
    """Memory, processor time and open files of one worker's process; empty where it has none."""
    return {
        _OF_PROCESS[sample.name]: sample.value
        for sample in _samples(figures)
        if sample.name in _OF_PROCESS and sample.labels["worker"] == worker
    }


def models_of(figures: Figures) -> dict[str, dict[str, Any]]:
    """By model: requests by how they ended, their latencies, and each version's figures.

    `latency` holds the numbers of requests by upper bounds in seconds, as a histogram's `le` (cumulative; null is
    infinity), and their sum in seconds.
    """
    models: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"requests": {"ok": 0, "failed": 0}, "latency": {"buckets": {}, "sum_s": 0.0}, "versions": {}}
    )
    for sample in _samples(figures):
        name = sample.labels.get("model_name")
        if name:  # requests for models that are not there count under the empty name
            _take(sample, models[name])
    for model in models.values():
        buckets = model["latency"]["buckets"]
        model["latency"]["buckets"] = [
            [None if bound == float("inf") else bound, buckets[bound]] for bound in sorted(buckets)
        ]
    return dict(models)


def _take(sample: Sample, model: dict[str, Any]) -> None:
    labels, value = sample.labels, sample.value
    latency = model["latency"]
    if sample.name == "atelier_requests_total":
        model["requests"]["ok" if labels["outcome"] == "ok" else "failed"] += int(value)
    elif sample.name == "atelier_request_latency_seconds_bucket":
        bound = float(labels["le"])
        latency["buckets"][bound] = latency["buckets"].get(bound, 0) + int(value)
    elif sample.name == "atelier_request_latency_seconds_sum":
        latency["sum_s"] += value
    elif sample.name == "atelier_version_state" and labels["state"] == "AVAILABLE":
        model["versions"].setdefault(labels["version"], {})["workers"] = int(value)
    elif sample.name in _OF_VERSION:
        model["versions"].setdefault(labels["version"], {})[_OF_VERSION[sample.name]] = int(value)


def _samples(figures: Figures) -> Iterator[Sample]:
    return (sample for family in figures for sample in family.samples)
