"""The report of one load test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.figures import PERCENTILES, Figures, Outcome, saturation_sentence
from loadtest.report.page import Section, Table, Verdict, page
from loadtest.server_figures import Sample, batches
from loadtest.slo import judge, milliseconds

_APIS = {
    "grpc-predict": "gRPC Predict",
    "grpc-image": "gRPC Predict with image files",
    "grpc-oip": "gRPC ModelInfer",
    "rest-predict": "REST :predict",
    "rest-image": "REST :classify with image files",
    "rest-oip": "REST infer",
}
_MANY = 3
LATENCY_NOTE = (
    "Latency counts from the moment a request was due by the schedule, not from when it could be sent, so that a "
    "stalled server cannot hide. Requests that were given up count with the time they were waited for; other failures "
    "have no latency, and are counted below."
)


@dataclass(frozen=True)
class RunReport:
    """What a report is made of."""

    outcome: Outcome
    samples: Sequence[Sample]
    environment: Mapping[str, str]

    @property
    def title(self) -> str:
        """`fashion-mnist over gRPC Predict: 500 requests/s for 60 s`."""
        plan = self.outcome.plan
        apis = " and ".join(_APIS[name] for name in plan.mix) if len(plan.mix) < _MANY else f"{len(plan.mix)} APIs"
        return f"{plan.model} over {apis}: {describe_load(self.outcome)}"


def describe_load(outcome: Outcome) -> str:
    """The shape of the load in words."""
    plan = outcome.plan
    rate, duration = f"{plan.rate:g} requests/s", _duration(plan.duration_s)
    match plan.shape:
        case _ if not outcome.has_course:
            return f"{plan.connections} connections in a closed loop for {duration}"
        case "steps":
            return f"{plan.steps} steps from {plan.from_rate:g} to {rate} in {duration}"
        case "ramp":
            return f"from {plan.from_rate:g} to {rate} in {duration}"
        case "spike":
            high = max(segment.to_rate for segment in plan.rates.segments) if plan.rates else plan.rate
            return f"{rate} for {duration}, with a spike to {high:g}"
        case "replay":
            return f"trace {plan.trace.name if plan.trace else ''} for {duration}"
        case _:
            return f"{'soak with ' if plan.shape == 'soak' else ''}{rate} for {duration}"


def write_report(path: Path, report: RunReport) -> None:
    """Writes the HTML file."""
    from loadtest.report import charts  # matplotlib takes a second to import

    outcome, samples = report.outcome, report.samples
    note = LATENCY_NOTE if outcome.has_course else "The server's own figures: wrk says nothing of when what came."
    sections = [
        *(
            [Section("Over time", note, charts.timeline(outcome, samples, batches(samples)))]
            if outcome.has_course or samples
            else []
        ),
        Section("Latency over throughput", chart=charts.latency_by_throughput([("", outcome)])),
        Section("Histogram", "On logarithmic scales.", charts.histogram([("", outcome.figures.latencies)])),
        Section("Latency", table=_latency_table(outcome)),
        _errors(outcome),
        *([_steps(outcome)] if outcome.plan.shape == "steps" else []),
        Section("Environment", facts=[*_load_facts(outcome), *report.environment.items()]),
    ]
    what = f"Load test of {outcome.plan.url} by {outcome.generator}"
    text = page(report.title, what, verdicts(outcome), headline(outcome), sections)
    path.write_text(text, encoding="utf-8")


def verdicts(outcome: Outcome) -> list[Verdict]:
    """What came out: the objective, and what stands in the way of believing it."""
    found = []
    if outcome.is_partial:
        found.append(Verdict("warn", "Partial.", partial_sentence(outcome)))
    if outcome.conditions:
        said = "; ".join(f"{one.text}{'' if one.met else ' (missed)'}" for one in outcome.judgements)
        tone, word = ("good", "Objective met.") if outcome.is_met else ("bad", "Objective missed.")
        found.append(Verdict("good" if tone == "good" else "bad", word, said))
    else:
        found.append(Verdict("", "No objective.", "None was given with --slo."))
    if outcome.plan.shape == "ramp":
        found.append(Verdict("", "Breaking point.", breaking_sentence(outcome)))
    if outcome.plan.shape == "spike":
        found.append(Verdict("", "Recovery.", recovery_sentence(outcome)))
    if outcome.plan.shape == "soak":
        found.append(Verdict("", "Drift.", drift_sentence(outcome)))
    if saturated := saturation_sentence(outcome):
        found.append(Verdict("warn", "Generator saturated.", saturated))
    if remark := outcome.recording.start.get("remark"):
        found.append(Verdict("", "Note.", str(remark)))
    return found


def partial_sentence(outcome: Outcome) -> str:
    """Why a test ended early, and what is missing."""
    reasons = {
        "interrupted": "The test was interrupted",
        "lost": f"{outcome.recording.end.get('text', 'Workers were lost')}, and their requests are missing",
        "broke": "The ramp was ended at its breaking point",
    }
    reason = reasons.get(str(outcome.recording.end.get("reason")), "The test's end was not recorded")
    unfinished = outcome.recording.unfinished
    waiting = f"; {unfinished:,} requests had no answer yet, and count nowhere" if unfinished else ""
    return f"{reason}: figures are of {outcome.seconds:g} s of {outcome.plan.duration_s:g}{waiting}."


def breaking_sentence(outcome: Outcome) -> str:
    """Where a ramp broke."""
    second = outcome.breaking_second
    if not outcome.latency_conditions:
        return "Without an objective there is none to break."
    if second is None or outcome.plan.rates is None:
        return f"The objective held in every window, up to {outcome.plan.rate:g} requests/s."
    rate = outcome.plan.rates.at(second)
    return f"The objective was missed in three windows in a row from second {second:g} on, at {rate:,.0f} requests/s."


def recovery_sentence(outcome: Outcome) -> str:
    """How long after a spike's end its objective was missed."""
    if not outcome.latency_conditions or outcome.plan.rates is None:
        return "Without an objective there is none to come back to."
    before, high, _ = outcome.plan.rates.segments
    end = before.duration_s + high.duration_s
    begins = [figures.windows[0].index * outcome.plan.window_s for figures in outcome.missed_windows]
    if not any(begin + outcome.plan.window_s > before.duration_s for begin in begins):
        return "The objective held in the spike and after it."
    last = max(begins) + outcome.plan.window_s
    if last <= end:
        return "The objective was missed in the spike, and held again from its end on."
    if last >= outcome.seconds:
        return f"The objective was still missed at the end, {outcome.seconds - end:g} s after the spike."
    return f"The objective was missed until {last - end:g} s after the spike's end."


def drift_sentence(outcome: Outcome) -> str:
    """The last tenth of a soak beside its first."""
    windows = outcome.figures.windows
    tenth = max(1, len(windows) // 10)
    first, last = (
        Figures(part, max(len(part) * outcome.plan.window_s, 1)) for part in (windows[:tenth], windows[-tenth:])
    )
    return (
        f"In the first tenth p99 was {milliseconds(first.percentile_ms(99))} at {first.answered_per_s:,.1f} answers/s, "
        f"in the last {milliseconds(last.percentile_ms(99))} at {last.answered_per_s:,.1f}/s."
    )


def headline(outcome: Outcome) -> list[tuple[str, str]]:
    """The figures that one looks for first."""
    figures = outcome.figures
    found = [
        ("p50", milliseconds(figures.percentile_ms(50))),
        ("p99", milliseconds(figures.percentile_ms(99))),
        ("p99.9", milliseconds(figures.percentile_ms(99.9))),
        ("longest", milliseconds(figures.max_ms)),
        ("answered", f"{figures.answered_per_s:,.1f}/s"),
        ("failed", share(figures.error_share)),
    ]
    if math.isfinite(figures.accuracy):
        found.append(("accuracy", share(figures.accuracy)))
    return found


def share(value: float) -> str:
    """`0.0012` as `0.12 %`; a dash for what is not a number."""
    return f"{100 * value:.3g} %" if math.isfinite(value) else "–"


def _latency_table(outcome: Outcome) -> Table:
    names = ["mean", *(f"p{percentile:g}" for percentile in PERCENTILES), "longest"]
    figures = outcome.figures
    values = [figures.mean_ms, *(figures.percentile_ms(percentile) for percentile in PERCENTILES), figures.max_ms]
    return Table(names, [[milliseconds(value) for value in values]])


def _errors(outcome: Outcome) -> Section:
    figures = outcome.figures
    if not figures.errors:
        checked = "; every answer was checked" if outcome.generator == "locust" else ""
        return Section("Errors", f"None in {figures.requests:,} requests{checked}.")
    rows = [
        [kind, f"{count:,}", share(count / figures.requests), figures.error_texts.get(kind, "")]
        for kind, count in figures.errors.most_common()
    ]
    return Section("Errors by kind", table=Table(["kind", "requests", "share", "for instance"], rows, frozenset({3})))


def _steps(outcome: Outcome) -> Section:
    """The figures of each step for itself, and whether it met the objective."""
    plan, rows, begin = outcome.plan, [], 0.0
    for segment in plan.rates.segments if plan.rates else ():
        end = begin + segment.duration_s
        windows = [one for one in outcome.figures.windows if begin <= one.index * plan.window_s < end]
        figures = Figures(windows, max(len(windows) * plan.window_s, 1))
        met = all(one.met for one in judge(outcome.latency_conditions, figures)) if windows else False
        rows.append(
            [
                f"{segment.to_rate:,.0f}/s",
                f"{figures.answered_per_s:,.1f}/s",
                milliseconds(figures.percentile_ms(50)),
                milliseconds(figures.percentile_ms(99)),
                share(figures.error_share),
                ("met" if met else "missed") if outcome.conditions else "–",
            ]
        )
        begin = end
    head = ["step", "answered", "p50", "p99", "failed", "objective"]
    return Section("Steps", table=Table(head, rows, tones={"met": "good", "missed": "bad"}))


def _load_facts(outcome: Outcome) -> list[tuple[str, str]]:
    figures, start, plan = outcome.figures, outcome.recording.start, outcome.plan
    spacing = {"h2load": "even", "wrk": "when the answer before has come"}.get(outcome.generator, plan.spacing)
    return [
        ("requests", f"{figures.requests:,} due, {figures.right_answers:,} answered right, {plan.rows} image(s) each"),
        ("APIs", plan.api),
        ("arrivals", "from a trace" if plan.rates is None else spacing),
        ("most in flight", f"{figures.in_flight:,} in one sending process"),
        ("waited for a connection", f"{figures.total('waited'):,} requests"),
        ("images", f"{start.get('images', '')}{'' if start.get('labelled') else ', without labels'}"),
        ("sending processes", str(start.get("processes", 1))),
    ]


def _duration(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds >= 120 else f"{seconds:g} s"
