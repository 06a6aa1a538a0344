"""The report of a search for limits: all settings' curves in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtest.limit import Search
from loadtest.plan import LoadPlan
from loadtest.report.page import Section, Table, Verdict, page
from loadtest.slo import milliseconds


def write_limits(
    path: Path, searches: Sequence[Search], plan: LoadPlan, slo: str, environment: Mapping[str, str]
) -> None:
    """Writes the HTML file."""
    from loadtest.report import charts  # matplotlib takes a second to import

    found = [Verdict("warn" if one.interrupted or one.limit is None else "good", "", one.sentence) for one in searches]
    curves = [
        (one.setting.name, [(trial.rate, trial.p99_ms, trial.met) for trial in one.trials], one.limit)
        for one in searches
    ]
    rows = [
        [
            search.setting.name,
            f"{trial.rate:,.1f}/s",
            f"{trial.answered_per_s:,.1f}/s",
            milliseconds(trial.p99_ms),
            "met" if trial.met else "missed",
            "saturated" if trial.saturated else "",
        ]
        for search in searches
        for trial in sorted(search.trials, key=lambda one: one.rate)
    ]
    head = ["setting", "rate", "answered", "p99", "objective", "generator"]
    sections = [
        Section("Latency over throughput", chart=charts.limits(curves)),
        Section("Trials", table=Table(head, rows, tones={"met": "good", "missed": "bad", "saturated": "warn"})),
        Section(
            "Environment",
            facts=[
                ("objective", slo),
                ("each trial", f"{plan.warm_up_s:g} s of warm-up, {plan.duration_s:g} s measured, {plan.api}"),
                *environment.items(),
            ],
        ),
    ]
    title = f"{plan.model}: highest rate with {slo}"
    path.write_text(page(title, "Search for the limit", found, [], sections), encoding="utf-8")
