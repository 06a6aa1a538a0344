"""The report for people, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from benchmarks.machine import in_a_sentence
from benchmarks.report import Report, Row, rows, starts
from benchmarks.servers import GATEWAY

PACKAGES = (
    "atelier",
    "uvloop",
    "onnxruntime",
    "grpcio",
    "fastapi",
    "uvicorn",
    "pillow",
    "numpy",
    "protobuf",
)


def as_markdown(report: Report) -> str:
    """Ratios first, then a table for each case."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    machine = report.machine
    found = rows(report.rounds)
    yield "# Benchmark"
    yield ""
    yield f"Model `{report.model}`, {report.seconds} s a round, alternating, medians; CPU and times are a request's."
    yield f"The load generator ran on the same machine: {in_a_sentence(machine)}"
    packages = (name for name in machine if name.startswith("peer ") or name in PACKAGES)
    yield ", ".join(f"{name.removeprefix('peer ')} {machine[name]}" for name in packages) + "."
    if any(row.gateway_ratio for row in found):
        yield from _ratios(found)
    for _, group in groupby(found, key=lambda row: row.case):
        yield from _table(list(group))
    if report.footprints:
        yield from _starts(report)
    for name, reason in report.missing.items():
        yield f"\nNot measured: {name}: {' '.join(reason.split())}"


def _ratios(found: Sequence[Row]) -> Iterator[str]:
    """The gateway's requests per second over the other's; with one in flight its mean time over the other's too."""
    levels = sorted({row.in_flight for row in found})
    yield from ("", "## atelier's throughput over the other's", "")
    yield "| beside | case | " + " | ".join(f"{level} in flight" for level in levels) + " |"
    yield "|---|---|" + "--:|" * len(levels)
    others = dict.fromkeys((row.server, row.title, row.case) for row in found if row.server != GATEWAY)
    by_setting = {(row.server, row.case, row.in_flight): row for row in found}
    for server, title, case in others:
        cells = (_ratio(by_setting.get((server, case, level))) for level in levels)
        yield f"| {server} | {title} | " + " | ".join(cells) + " |"


def _ratio(row: Row | None) -> str:
    if row is None or row.gateway_ratio is None:
        return ""
    latency = row.gateway_latency_ratio if row.in_flight == 1 else None
    return f"{row.gateway_ratio:.2f}×" + (f" (time {latency:.2f}×)" if latency else "")


def _table(group: Sequence[Row]) -> Iterator[str]:
    unit = "images/s" if group[0].images > 1 else "requests/s"
    yield from (
        "",
        f"## {group[0].title}",
        "",
        f"| in flight | server | asked by | with | {unit} | mean ms | p50 ms | p99 ms | CPU µs | failed | atelier is |",
        "|--:|---|---|---|--:|--:|--:|--:|--:|--:|--:|",
    )
    for row in group:
        ratio = f"{row.gateway_ratio:.2f}×" if row.gateway_ratio and row.server != GATEWAY else ""
        times = f"{row.mean_ms:.2f} | {row.p50_ms:.2f} | {row.p99_ms:.2f}"
        figures = f"{row.per_second * row.images:,.0f} | {times} | {_whole(row.cpu_us_per_request)} | {row.failed}"
        yield f"| {row.in_flight} | {row.server} | {row.by} | {row.tool} | {figures} | {ratio} |"


def _starts(report: Report) -> Iterator[str]:
    yield from (
        "",
        "## Starts and memory",
        "",
        "| case | server | starts | s to first right answer | MB resident, idle | MB resident, after load |",
        "|---|---|--:|--:|--:|--:|",
    )
    for found in starts(report.footprints):
        sizes = f"{_whole(found.resident_idle_mb)} | {_whole(found.resident_loaded_mb)}"
        yield f"| {found.case} | {found.server} | {found.starts} | {found.seconds_to_ready:.2f} | {sizes} |"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
