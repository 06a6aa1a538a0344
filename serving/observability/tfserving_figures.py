"""The figures that TensorFlow Serving has, under its names: its dashboards and alerts go on working. Pure functions.

Names and labels as in tensorflow_serving/servables/tensorflow/util.cc and
tensorflow/core/kernels/batching_util/batch_resource_base.cc; times in microseconds. Its exporter is
tensorflow_serving/util/prometheus_exporter.cc. The bounds of the buckets are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from serving.observability.figures import Family, Figures, Sample, added_up

_PREFIX = ":tensorflow:serving:"
_MICROSECONDS = 1e6
_CODES: Mapping[str, str] = MappingProxyType(
    {
        "ok": "OK",
        "InvalidInputError": "INVALID_ARGUMENT",
        "PayloadTooLargeError": "RESOURCE_EXHAUSTED",
        "ModelNotFoundError": "NOT_FOUND",
        "SignatureNotFoundError": "FAILED_PRECONDITION",
        "UnsupportedError": "UNIMPLEMENTED",
        "OverloadedError": "RESOURCE_EXHAUSTED",
        "DeadlineExceededError": "DEADLINE_EXCEEDED",
        "UnavailableError": "UNAVAILABLE",
        "InferenceError": "INTERNAL",
        "CancelledError": "CANCELLED",
    }
)
_ENTRYPOINTS: Mapping[str, str] = MappingProxyType(
    {"tfs_grpc": "GRPC", "oip_grpc": "GRPC", "tfs_rest": "REST", "oip_rest": "REST", "image": "REST"}
)

Labels = Mapping[str, str]


def as_tfserving(figures: Figures) -> list[Family]:
    """TensorFlow Serving's families, made of a gateway's own."""
    ours = {family.name: family for family in figures}
    aliases = [
        _renamed(ours, "atelier_requests_total", "request_count", "Requests.", _of_count),
        _renamed(
            ours,
            "atelier_request_latency_seconds",
            "request_latency",
            "Wall time of requests in microseconds.",
            _of_request,
            unit=_MICROSECONDS,
        ),
        _renamed(
            ours,
            "atelier_batch_run_seconds",
            "runtime_latency",
            "Wall time of the model's runs in microseconds.",
            _of_run,
            unit=_MICROSECONDS,
        ),
        _renamed(
            ours,
            "atelier_batch_wait_seconds",
            "batching_session:queuing_latency",
            "Wait of the oldest request of a batch in microseconds.",
            _of_queue,
            unit=_MICROSECONDS,
        ),
        _renamed(ours, "atelier_batch_rows", "batching_session:processed_batch_size", "Rows in a batch.", _of_batch),
        _run_count(ours),
    ]
    return added_up([[alias for alias in aliases if alias is not None]])


def _renamed(
    ours: Mapping[str, Family],
    source: str,
    name: str,
    documentation: str,
    labels: Callable[[Labels], dict[str, str]],
    *,
    unit: float = 1.0,
) -> Family | None:
    """`unit` multiplies sums and the bounds of buckets; None where nothing has been counted."""
    family = ours.get(source)
    if family is None:
        return None
    samples = [
        Sample(
            sample.name.replace(source, f"{_PREFIX}{name}", 1),
            labels(sample.labels) | _bound(sample.labels, unit),
            sample.value * (unit if sample.name.endswith("_sum") else 1.0),
        )
        for sample in family.samples
    ]
    return Family(f"{_PREFIX}{name}", documentation, family.kind, samples)


def _run_count(ours: Mapping[str, Family]) -> Family | None:
    family = ours.get("atelier_batch_rows")
    if family is None:
        return None
    name = f"{_PREFIX}batching_session:wrapped_run_count"
    samples = [Sample(name, {}, sample.value) for sample in family.samples if sample.name.endswith("_count")]
    return Family(name, "Runs of models.", "counter", samples)


def _bound(labels: Labels, unit: float) -> dict[str, str]:
    if "le" not in labels:
        return {}
    bound = float(labels["le"]) * unit
    return {"le": "+Inf" if bound == float("inf") else f"{bound:g}"}


def _of_count(labels: Labels) -> dict[str, str]:
    return {"model_name": labels["model_name"], "status": _CODES.get(labels["outcome"], "UNKNOWN")}


def _of_request(labels: Labels) -> dict[str, str]:
    entrypoint = _ENTRYPOINTS.get(labels["api"], "GRPC")
    return {"model_name": labels["model_name"], "API": "Predict", "entrypoint": entrypoint}


def _of_run(labels: Labels) -> dict[str, str]:
    return {"model_name": labels["model_name"], "API": "Predict", "runtime": "ONNX"}


def _of_queue(labels: Labels) -> dict[str, str]:
    return {"thread_pool_name": labels["model_name"]}


def _of_batch(labels: Labels) -> dict[str, str]:
    return {"model_name": labels["model_name"]}
