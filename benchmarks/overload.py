"""`make bench-overload`: what a gateway answers, and how soon, when more is asked than it can do.

Requests come at a steady rate, whether earlier ones were answered or not (an open loop), at rates from a fraction of
the capacity to three times as much: to a gateway with its defaults, and to one with a service level objective.
Capacity is what 64 closed-loop clients got from the first one. Over REST, because h2load sees its status codes.
The model is `benchmarks.paced_server`: it takes a set time, so that a busy machine does not change what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.measure import say
from benchmarks.overload_picture import draw
from benchmarks.paced_server import NAME
from benchmarks.processes import started

PACKAGES = ("atelier", "uvloop", "grpcio", "numpy")
START_TIMEOUT_S = 120.0
DEFAULTS, WITH_SLO = "defaults", "SLO"
_CLOSED_LOOP_CLIENTS = 64
_STREAMS = 1000
_UNLOADED, _ROUNDS = 0.25, 3
"""The unloaded p99 is the median of so many rounds at that part of the capacity."""
_OK = 200
_REFUSED = 429


@dataclass(frozen=True)
class Point:
    """What one rate gave: `offered` is in multiples of the capacity, times in milliseconds of what was answered."""

    gateway: str
    offered: float
    offered_per_s: float
    sent: int
    answered_per_s: float
    refused: int
    failed: int
    p50_ms: float
    p99_ms: float


def main() -> int:
    """Measures, writes `overload.json` and the picture, prints the table."""
    options = _options()
    pace = ["--ms-per-batch", str(options.ms_per_batch), "--ms-per-row", str(options.ms_per_row)]
    with (
        tempfile.TemporaryDirectory() as folder,
        started([sys.executable, "-m", "benchmarks.paced_server", *pace]) as it,
    ):
        upstream = f"127.0.0.1:{it.first_line('port ', START_TIMEOUT_S).split()[1]}"
        body = Path(folder) / "body"
        body.write_text(json.dumps({"instances": np.zeros((1, 28, 28), int).tolist()}))
        points, slo_ms, unloaded_p99_ms, capacity = measure(
            upstream, body, options.rates, options.seconds, options.slo_factor
        )
    document = {
        "machine": describe_machine(PACKAGES),
        "capacity_per_s": capacity,
        "slo_ms": slo_ms,
        "unloaded_p99_ms": unloaded_p99_ms,
        "points": [asdict(point) for point in points],
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "overload.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    draw(document, options.picture or options.output / "overload.png")
    print(as_table(points, capacity, slo_ms, unloaded_p99_ms))
    return 0


def measure(
    upstream: str, body: Path, rates: Sequence[float], seconds: int, slo_factor: float
) -> tuple[list[Point], float, float, float]:
    """All points, the SLO and the unloaded p99 in milliseconds, and the capacity in answers a second."""
    points = []
    with _gateway(upstream) as url:
        closed = _h2load(url, body, ["-c", str(_CLOSED_LOOP_CLIENTS), "-m", "1", "-D", str(seconds)])
        capacity = float(np.sum(closed.statuses == _OK)) / seconds
        if not capacity:
            raise SystemExit(f"the gateway answered nothing, but {closed.statuses[:5]}")
        unloaded = [_at_rate(url, body, DEFAULTS, _UNLOADED, capacity, seconds).p99_ms for _ in range(_ROUNDS)]
        unloaded_p99_ms = statistics.median(unloaded)
        say(f"capacity {capacity:,.0f} answers/s, unloaded p99 {unloaded_p99_ms:.1f} ms")
        points += [_at_rate(url, body, DEFAULTS, rate, capacity, seconds) for rate in rates]
    slo_ms = slo_factor * unloaded_p99_ms
    with _gateway(upstream, "--slo-ms", f"{slo_ms:.3f}") as url:
        _at_rate(url, body, WITH_SLO, 1.0, capacity, seconds)  # until it has found its batch size
        points += [_at_rate(url, body, WITH_SLO, rate, capacity, seconds) for rate in rates]
    return points, slo_ms, unloaded_p99_ms, capacity


@contextlib.contextmanager
def _gateway(upstream: str, *options: str) -> Iterator[str]:
    """A gateway in front of the paced server; gives the address to ask."""
    atelier = Path(sys.executable).with_name("atelier")
    listen = ["--host", "127.0.0.1", "--grpc-port", "0", "--rest-port", "0", "--json"]
    models = ["--tfserving-address", upstream, "--tfserving-model", NAME]
    with started([str(atelier), "serve", *listen, *models, *options]) as process:
        port = json.loads(process.first_line("{", START_TIMEOUT_S))["rest_port"]
        yield f"http://127.0.0.1:{port}/v1/models/{NAME}:predict"


@dataclass(frozen=True)
class _Log:
    """h2load's log: a status and a duration for each request that ended."""

    statuses: np.ndarray
    durations_ms: np.ndarray


def _at_rate(url: str, body: Path, gateway: str, offered: float, capacity: float, seconds: int) -> Point:
    rate = max(1, round(offered * capacity))
    log = _h2load(url, body, ["-c", "1", "-m", str(_STREAMS), f"--rps={rate}", "-D", str(seconds)])
    answered = log.statuses == _OK
    times = log.durations_ms[answered] if answered.any() else np.array([np.nan])
    point = Point(
        gateway,
        offered,
        float(rate),
        len(log.statuses),
        float(answered.sum()) / seconds,
        int((log.statuses == _REFUSED).sum()),
        int(((log.statuses != _OK) & (log.statuses != _REFUSED)).sum()),
        float(np.percentile(times, 50)),
        float(np.percentile(times, 99)),
    )
    say(f"{gateway}, {offered:g}×: {point}")
    time.sleep(1.0)  # lets the queue run empty
    return point


def _h2load(url: str, body: Path, shape: Sequence[str]) -> _Log:
    with tempfile.NamedTemporaryFile("r", prefix="h2load-") as log:
        files = ["-d", str(body), f"--log-file={log.name}", "-H", "content-type: application/json"]
        subprocess.run(["h2load", "-t", "1", *shape, *files, url], capture_output=True, check=True)
        rows = [line.split("\t") for line in log.read().splitlines()]
    return _Log(np.array([int(row[1]) for row in rows]), np.array([int(row[2]) / 1e3 for row in rows]))


def as_table(points: Sequence[Point], capacity: float, slo_ms: float, unloaded_p99_ms: float) -> str:
    """The points in Markdown."""
    lines = [
        f"Capacity {capacity:,.0f} answers/s; unloaded p99 {unloaded_p99_ms:.1f} ms; the SLO is {slo_ms:.1f} ms.",
        "",
        "| gateway | offered | answers/s | of capacity | refused | failed | p50 ms | p99 ms |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {point.gateway} | {point.offered:g}× | {point.answered_per_s:,.0f} | {point.answered_per_s / capacity:.0%} "
        f"| {point.refused:,} | {point.failed:,} | {point.p50_ms:.1f} | {point.p99_ms:.1f} |"
        for point in points
    ]
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-overload ARGS=…", description=__doc__)
    rates = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0]
    parser.add_argument("--rates", type=float, nargs="+", default=rates, help="multiples of the capacity")
    parser.add_argument("--seconds", type=int, default=5, help="seconds at each rate (default: 5)")
    parser.add_argument("--slo-factor", type=float, default=1.5, help="SLO as a multiple of the unloaded p99")
    parser.add_argument("--ms-per-batch", type=float, default=1.0, help="what a batch takes (default: 1)")
    parser.add_argument("--ms-per-row", type=float, default=30.0, help="and each of its rows (default: 30)")
    parser.add_argument("--output", type=Path, default=Path("bench-output"), help="where the figures go")
    parser.add_argument("--picture", type=Path, help="where the picture goes (default: beside the figures)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
