"""What happened between two looks at a gateway: requests and rows a second, percentiles. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from serving.client.gateway_status import GatewayStatus, Latency

Buckets = Sequence[tuple[float, int]]
"""Upper bounds, ascending, each with the number of requests up to it; the last bound is infinity."""


class ModelRates(NamedTuple):
    """Of one model; percentiles are None where nothing ended meanwhile, infinite above the histogram's last bound."""

    requests_per_s: float
    failed_per_s: float
    p50_s: float | None
    p99_s: float | None
    rows_per_s: Mapping[str, float]
    """By version."""


class Rates(NamedTuple):
    """Of a gateway."""

    models: Mapping[str, ModelRates]
    cpu_cores: Mapping[int, float]
    """Processor time a second by worker; only of those whose process was the same both times."""


def rates(before: GatewayStatus, after: GatewayStatus) -> Rates:
    """What happened between both; since the start of the gateway, where that is another one by now."""
    is_same = after.uptime_s >= before.uptime_s
    seconds = max(after.uptime_s - (before.uptime_s if is_same else 0.0), 1e-3)
    known = {model.name: model for model in before.models} if is_same else {}
    models = {}
    for model in after.models:
        earlier = known.get(model.name)
        rows = {version.version: version.rows for version in earlier.versions} if earlier is not None else {}
        ended = model.requests.ok + model.requests.failed
        ended_before = earlier.requests.ok + earlier.requests.failed if earlier is not None else 0
        failed_before = earlier.requests.failed if earlier is not None else 0
        buckets = _between(earlier.latency if earlier is not None else None, model.latency)
        models[model.name] = ModelRates(
            max(0, ended - ended_before) / seconds,
            max(0, model.requests.failed - failed_before) / seconds,
            quantile(buckets, 0.5),
            quantile(buckets, 0.99),
            {one.version: max(0, one.rows - rows.get(one.version, 0)) / seconds for one in model.versions},
        )
    times = {(worker.number, worker.pid): worker.cpu_s for worker in before.workers} if is_same else {}
    cores = {
        worker.number: max(0.0, worker.cpu_s - times[worker.number, worker.pid]) / seconds
        for worker in after.workers
        if worker.pid is not None and (worker.number, worker.pid) in times
    }
    return Rates(models, cores)


def quantile(buckets: Buckets, part: float) -> float | None:
    """The value below which `part` of the observations lie, evenly spread within each bucket.

    As Prometheus' histogram_quantile, except that the bucket without an upper bound gives infinity. Source:
    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
    """
    if not buckets or not buckets[-1][1]:
        return None
    rank = part * buckets[-1][1]
    lower, below = 0.0, 0
    for upper, count in buckets:
        if count >= rank and count > below:
            return upper if math.isinf(upper) else lower + (upper - lower) * (rank - below) / (count - below)
        lower, below = upper, count
    return None


def _between(before: Latency | None, after: Latency) -> Buckets:
    counted = dict(before.buckets) if before is not None else {}
    return [
        (math.inf if bound is None else bound, max(0, count - counted.get(bound, 0)))
        for bound, count in sorted(after.buckets, key=lambda bucket: math.inf if bucket[0] is None else bucket[0])
    ]
