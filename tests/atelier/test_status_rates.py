"""Rates and percentiles of what happened between two looks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from atelier.status_rates import quantile, rates
from serving.client.gateway_status import (
    GatewayStatus,
    Latency,
    ModelFigures,
    Requests,
    VersionFigures,
    WorkerStatus,
)


def worker(number: int, pid: int | None, cpu_s: float) -> WorkerStatus:
    return WorkerStatus(number=number, state="serving", pid=pid, uptime_s=1.0, restarts=0, cpu_s=cpu_s)


def look(
    uptime_s: float, ok: int, failed: int = 0, rows: int = 0, workers: tuple[WorkerStatus, ...] = ()
) -> GatewayStatus:
    """All requests took between 1 and 2 ms."""
    total = ok + failed
    version = VersionFigures(version="1", state="AVAILABLE", error="", rows=rows)
    model = ModelFigures(
        name="digits",
        task=None,
        requests=Requests(ok=ok, failed=failed),
        latency=Latency(buckets=((0.001, 0), (0.002, total), (None, total))),
        versions=(version,),
    )
    return GatewayStatus(version="1", ready=True, reasons=(), uptime_s=uptime_s, workers=workers, models=(model,))


def test_rates_are_of_the_time_between() -> None:
    (rate,) = rates(look(10.0, 100, 1, rows=100), look(12.0, 140, 3, rows=300)).models.values()
    assert (rate.requests_per_s, rate.failed_per_s, rate.rows_per_s) == (21.0, 1.0, {"1": 100.0})
    assert rate.p50_s == pytest.approx(0.0015)
    assert rate.p99_s == pytest.approx(0.00199)


def test_without_a_request_between_there_are_no_percentiles() -> None:
    (rate,) = rates(look(10.0, 100), look(12.0, 100)).models.values()
    assert (rate.requests_per_s, rate.p50_s, rate.p99_s) == (0.0, None, None)


def test_another_gateway_at_the_same_address_counts_from_its_start() -> None:
    (rate,) = rates(look(1000.0, 5000), look(2.0, 40)).models.values()
    assert rate.requests_per_s == 20.0


def test_a_model_that_is_new_counts_from_nothing() -> None:
    (rate,) = rates(look(10.0, 0).model_copy(update={"models": ()}), look(12.0, 40)).models.values()
    assert rate.requests_per_s == 20.0


def test_processor_time_is_of_the_same_process_only() -> None:
    before = look(10.0, 0, workers=(worker(1, 100, 5.0), worker(2, 200, 5.0), worker(3, None, 0.0)))
    after = look(12.0, 0, workers=(worker(1, 100, 6.0), worker(2, 201, 0.5), worker(3, None, 0.0)))
    assert rates(before, after).cpu_cores == {1: 0.5}


@pytest.mark.parametrize(
    ("buckets", "part", "value"),
    [
        ([], 0.5, None),
        ([(1.0, 0), (math.inf, 0)], 0.5, None),
        ([(1.0, 10), (math.inf, 10)], 0.5, 0.5),
        ([(1.0, 0), (3.0, 4), (math.inf, 4)], 0.5, 2.0),
        ([(1.0, 10), (2.0, 10), (math.inf, 20)], 0.99, math.inf),
        ([(1.0, 10), (2.0, 10), (math.inf, 20)], 0.5, 1.0),
    ],
)
def test_a_quantile_lies_within_its_bucket(buckets: list[tuple[float, int]], part: float, value: float | None) -> None:
    assert quantile(buckets, part) == value


def test_quantiles_of_even_observations_are_those_of_numpy() -> None:
    seen = np.linspace(0.0, 1.0, 10_001)[1:]
    bounds = (0.1, 0.25, 0.5, 1.0, math.inf)
    buckets = [(bound, int((seen <= bound).sum())) for bound in bounds]
    for part in (0.05, 0.5, 0.9, 0.99):
        assert quantile(buckets, part) == pytest.approx(float(np.quantile(seen, part)), abs=1e-3)
