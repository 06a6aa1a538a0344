"""Two load tests, or more, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from loadtest.figures import PERCENTILES, Figures
from loadtest.report.page import Section, Table, Verdict, page
from loadtest.report.run import RunReport, describe_load, share, verdicts
from loadtest.slo import milliseconds

Named = tuple[str, RunReport]


def names_of(folders: Sequence[Path]) -> list[str]:
    """What to call reports: their folders' last parts where these differ."""
    short = [folder.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]


def write_comparison(path: Path, reports: Sequence[Named]) -> None:
    """Writes the HTML file; the first report is what the others are held against."""
    from loadtest.report import charts  # matplotlib takes a second to import

    outcomes = [(name, report.outcome) for name, report in reports]
    histograms = [(name, outcome.figures.latencies) for name, outcome in outcomes]
    said = [
        Verdict(verdict.tone, f"{name}:", f"{verdict.word} {verdict.text}")
        for name, outcome in outcomes
        for verdict in verdicts(outcome)
    ]
    sections = [
        Section("Figures", table=_figures(reports)),
        Section("Latency by percentile", chart=charts.tail(histograms)),
        Section("p99 over time", chart=charts.over_time(outcomes)),
        Section("Latency over throughput", chart=charts.latency_by_throughput(outcomes)),
        Section("Histogram", "On logarithmic scales.", charts.histogram(histograms)),
        Section("What differs", table=_differences(reports)),
    ]
    title = " and ".join(name for name, _ in reports)
    path.write_text(page(title, "Load tests side by side", said, [], sections), encoding="utf-8")


def _figures(reports: Sequence[Named]) -> Table:
    first = reports[0][1].outcome.figures
    rows: list[list[str]] = []

    def add(name: str, value: Callable[[Figures], float], write: Callable[[float], str]) -> None:
        cells = [name]
        for index, (_, report) in enumerate(reports):
            measured = value(report.outcome.figures)
            cells.append(write(measured))
            if index:
                cells.append(_change(value(first), measured))
        rows.append(cells)

    for percentile in PERCENTILES:
        add(f"p{percentile:g}", lambda figures, at=percentile: figures.percentile_ms(at), milliseconds)  # type: ignore[misc]
    add("mean", lambda figures: figures.mean_ms, milliseconds)
    add("longest", lambda figures: figures.max_ms, milliseconds)
    add("answered", lambda figures: figures.answered_per_s, lambda value: f"{value:,.1f}/s")
    add("failed", lambda figures: figures.error_share, share)
    add("accuracy", lambda figures: figures.accuracy, share)
    add("sent late", lambda figures: figures.late_share, share)
    head = ["", reports[0][0]]
    for name, _ in reports[1:]:
        head += [name, "change"]
    return Table(head, rows)


def _differences(reports: Sequence[Named]) -> Table:
    """What was asked for and what it ran on, where the tests differ; the load always."""
    facts = [
        {
            "load": describe_load(report.outcome),
            "generator": report.outcome.generator,
            **{name: str(value) for name, value in report.outcome.plan.model_dump(mode="json").items()},
            **report.environment,
        }
        for _, report in reports
    ]
    names = list(dict.fromkeys(name for one in facts for name in one))
    rows = [[name, *(one.get(name, "–") for one in facts)] for name in names]
    differing = [row for row in rows if row[0] == "load" or len(set(row[1:])) > 1]
    return Table(["", *(name for name, _ in reports)], differing, frozenset(range(1, len(reports) + 1)))


def _change(before: float, after: float) -> str:
    if not (math.isfinite(before) and math.isfinite(after)):
        return "–"
    if before == after:
        return "same"
    return f"{100 * (after / before - 1):+.1f} %" if before else "–"
