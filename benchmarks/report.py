"""From rounds to a report: medians and ratios, as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from benchmarks.load import Load
from benchmarks.servers import GATEWAY


@dataclass(frozen=True)
class Round:
    """One run of the load generator against one contestant of a case; a request has `images` images."""

    case: str
    title: str
    images: int
    in_flight: int
    server: str
    by: str
    load: Load
    cpu_us_per_request: float | None


@dataclass(frozen=True)
class Footprint:
    """One server's start and memory in a case; without load in the case `cold`."""

    case: str
    server: str
    seconds_to_ready: float
    resident_idle_mb: float | None
    resident_loaded_mb: float | None


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

    case: str
    title: str
    images: int
    in_flight: int
    server: str
    by: str
    tool: str
    rounds: int
    failed: int
    per_second: float
    mean_ms: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_request: float | None
    gateway_ratio: float | None  # the gateway's requests per second over this server's, same setting
    gateway_latency_ratio: float | None  # the gateway's mean time of a request over this server's


@dataclass(frozen=True)
class Start:
    """Medians over the starts of one server in one case; megabytes."""

    case: str
    server: str
    starts: int
    seconds_to_ready: float
    resident_idle_mb: float | None
    resident_loaded_mb: float | None


def rows(rounds: Sequence[Round]) -> list[Row]:
    """Medians per case, in flight and server, in the order in which they were first measured."""
    order = list(dict.fromkeys(_setting(found) for found in rounds))
    ranked = sorted(rounds, key=lambda found: order.index(_setting(found)))
    groups = {setting: list(group) for setting, group in groupby(ranked, key=_setting)}
    return [_row(group, groups.get((case, in_flight, GATEWAY), ())) for (case, in_flight, _), group in groups.items()]


def _setting(found: Round) -> tuple[str, int, str]:
    return found.case, found.in_flight, found.server


def _row(group: Sequence[Round], gateway: Sequence[Round]) -> Row:
    first, loads = group[0], [found.load for found in group]
    per_second = statistics.median(load.per_second for load in loads)
    mean_ms = statistics.median(load.mean_ms for load in loads)
    ours = [found.load for found in gateway]
    return Row(
        case=first.case,
        title=first.title,
        images=first.images,
        in_flight=first.in_flight,
        server=first.server,
        by=first.by,
        tool=first.load.tool,
        rounds=len(group),
        failed=sum(load.failed for load in loads),
        per_second=per_second,
        mean_ms=mean_ms,
        p50_ms=statistics.median(load.p50_ms for load in loads),
        p99_ms=statistics.median(load.p99_ms for load in loads),
        cpu_us_per_request=_median([found.cpu_us_per_request for found in group]),
        gateway_ratio=statistics.median(load.per_second for load in ours) / per_second if ours and per_second else None,
        gateway_latency_ratio=statistics.median(load.mean_ms for load in ours) / mean_ms if ours and mean_ms else None,
    )


def starts(footprints: Sequence[Footprint]) -> list[Start]:
    """Medians per case and server."""
    groups: dict[tuple[str, str], list[Footprint]] = {}
    for found in footprints:
        groups.setdefault((found.case, found.server), []).append(found)
    return [
        Start(
            case,
            server,
            len(group),
            statistics.median(found.seconds_to_ready for found in group),
            _median([found.resident_idle_mb for found in group]),
            _median([found.resident_loaded_mb for found in group]),
        )
        for (case, server), group in groups.items()
    ]


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def as_json(report: Report) -> dict[str, Any]:
    """The report with its medians, ready for `json.dumps`."""
    return {
        **asdict(report),
        "medians": [asdict(row) for row in rows(report.rounds)],
        "starts": [asdict(start) for start in starts(report.footprints)],
    }
