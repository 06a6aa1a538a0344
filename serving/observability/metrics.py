"""One worker's figures for Prometheus: per batch where the figure allows, per request where it does not.

The supervisor adds up those of all workers when somebody asks (serving/observability/figures.py), so counting costs no
more than in one process. prometheus_client's own way with several processes, values in mapped files, is slower, and
can neither remove figures nor read them from functions. docs/metrics.md lists all figures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from serving.observability.bulk_histogram import BUCKETS_S, BulkHistogram
from serving.observability.figures import Family, Sample
from serving.observability.request_figures import RequestFigures
from serving.observability.shadow_metrics import ShadowMetrics
from serving.observability.upstream_metrics import UpstreamMetrics

_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """All figures of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._request_figures = RequestFigures()
        self.registry.register(self._request_figures)
        self.request = self._request_figures.ended
        """One request ended. Its model must be one that is served, so that clients cannot invent label values."""
        self._batch_rows = self._of_batches("atelier_batch_rows", "Rows in a batch.", _ROWS)
        self._batch_run = self._of_batches("atelier_batch_run_seconds", "Time of one run of the model.", BUCKETS_S)
        self._batch_wait = self._of_batches(
            "atelier_batch_wait_seconds", "Wait of the oldest request of a batch.", BUCKETS_S
        )
        self._queue_rows = Gauge(
            "atelier_queue_rows", "Rows that wait now.", ["model_name", "version"], registry=self.registry
        )
        self._batch_size_limit = Gauge(
            "atelier_batch_size_limit_rows",
            "Rows that the next batches of all workers may have together.",
            ["model_name", "version", "signature"],
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "atelier_requests_in_flight",
            "Requests that are being answered now.",
            ["model_name", "version"],
            registry=self.registry,
        )
        self._version_state = Gauge(
            "atelier_version_state",
            "Workers in which the version is in the state.",
            ["model_name", "version", "state"],
            registry=self.registry,
        )
        self._states: dict[tuple[str, int], str] = {}
        self._label_version = Gauge(
            "atelier_label_version",
            "Workers in which the label names the version.",
            ["model_name", "label", "version"],
            registry=self.registry,
        )
        self._labels: dict[str, Mapping[str, int]] = {}
        self._loop_lag = Histogram(
            "atelier_event_loop_lag_seconds",
            "How late the event loop did what was due, looked at twice a second.",
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.shadow = ShadowMetrics(self.registry)
        self.upstream = UpstreamMetrics(self.registry)
        self._stored_problems = Gauge(
            "atelier_stored_problems",
            "1 while a model's labels.json or traffic.json cannot be understood, and what it said before goes on.",
            ["model_name"],
            registry=self.registry,
        )
        self._load_failures = Counter(
            "atelier_load_failures",
            "Versions that could not be loaded.",
            ["model_name"],
            registry=self.registry,
        )
        self._load_error = Gauge(
            "atelier_version_load_error",
            "Workers that could not load the version as its files are now.",
            ["model_name", "version"],
            registry=self.registry,
        )
        self._configuration_error = Gauge(
            "atelier_configuration_error",
            "1 while a file that configures the models cannot be used, and what it said before counts.",
            ["file"],
            registry=self.registry,
        )

    def batch_observer(self, model_name: str, version: int) -> Callable[..., None]:
        """Takes the figures of finished batches of one version; see `batching.runner.BatchObserver`."""
        rows_of_batch = self._batch_rows.observer(model_name, str(version))
        run = self._batch_run.observer(model_name, str(version))
        wait = self._batch_wait.observer(model_name, str(version))

        def observe(*, rows: int, requests: int, oldest_wait_s: float, run_s: float) -> None:  # noqa: ARG001 -- the observers' signature
            rows_of_batch(rows)
            run(run_s)
            wait(oldest_wait_s)

        return observe

    def queue(self, model_name: str, version: int, rows: Callable[[], int]) -> None:
        """Has the queue's length read whenever the figures are."""
        self._queue_rows.labels(model_name, str(version)).set_function(rows)

    def batch_size_limit(self, model_name: str, version: int, signature: str, rows: Callable[[], int]) -> None:
        """Has the size that the next batch may have read whenever the figures are."""
        self._batch_size_limit.labels(model_name, str(version), signature).set_function(rows)

    def in_flight(self, model_name: str, version: int, requests: Callable[[], int]) -> None:
        """Has the number of requests that are being answered read whenever the figures are."""
        self._in_flight.labels(model_name, str(version)).set_function(requests)

    def version_state(self, model_name: str, version: int, state: Enum, *, has_error: bool = False) -> None:
        """A version came into another state; `has_error`: its files, as they are now, could not be loaded."""
        self._leave_state(model_name, version)
        self._states[model_name, version] = state.name
        self._version_state.labels(model_name, str(version), state.name).set(1)
        if has_error:
            self._load_error.labels(model_name, str(version)).set(1)

    def labels(self, model_name: str, bound: Mapping[str, int]) -> None:
        """The versions that a model's labels name from now on."""
        before = self._labels.pop(model_name, {})
        for label, version in before.items() - bound.items():
            self._label_version.remove(model_name, label, str(version))
        for label, version in bound.items() - before.items():
            self._label_version.labels(model_name, label, str(version)).set(1)
        if bound:
            self._labels[model_name] = dict(bound)

    def loop_lag(self, seconds: float) -> None:
        """The event loop did that late what was due."""
        self._loop_lag.observe(seconds)

    def load_failure(self, model_name: str) -> None:
        """A version was quarantined."""
        self._load_failures.labels(model_name).inc()

    def stored_problem(self, model_name: str, *, is_there: bool) -> None:
        """A model's labels or traffic could not be understood, or could be again."""
        if is_there:
            self._stored_problems.labels(model_name).set(1)
        else:
            self._stored_problems.remove_by_labels({"model_name": model_name})

    def configuration_problems(self, files: Collection[str], broken: Collection[str]) -> None:
        """Which of these files cannot be used."""
        for file in files:
            self._configuration_error.labels(file).set(file in broken)

    def end_batches(self, model_name: str, version: int) -> None:
        """A version is unloaded: it has no queue and runs no batches any more."""
        for gauge in (self._queue_rows, self._in_flight):
            gauge.remove(model_name, str(version))
        for histogram in (self._batch_rows, self._batch_run, self._batch_wait):
            histogram.remove(model_name, str(version))
        self._batch_size_limit.remove_by_labels({"model_name": model_name, "version": str(version)})

    def forget_version(self, model_name: str, version: int) -> None:
        """A version is gone from the disk too: its figures would only pile up."""
        self._leave_state(model_name, version)
        self.shadow.forget_version(model_name, version)

    def figures(self) -> list[Family]:
        """All figures, now."""
        return [
            Family(
                f"{metric.name}_total" if metric.type == "counter" else metric.name,
                metric.documentation,
                metric.type,
                [
                    Sample(sample.name, sample.labels, sample.value)
                    for sample in metric.samples
                    if not sample.name.endswith("_created")
                ],
            )
            for metric in self.registry.collect()
        ]

    def _of_batches(self, name: str, documentation: str, bounds: Sequence[float]) -> BulkHistogram:
        histogram = BulkHistogram(name, documentation, ["model_name", "version"], bounds)
        self.registry.register(histogram)
        return histogram

    def _leave_state(self, model_name: str, version: int) -> None:
        state = self._states.pop((model_name, version), None)
        if state is not None:
            self._version_state.remove(model_name, str(version), state)
            self._load_error.remove_by_labels({"model_name": model_name, "version": str(version)})
