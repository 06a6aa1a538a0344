"""What a recording says, in figures: over the whole test, and window by window."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hdrh.histogram import HdrHistogram

from loadtest.plan import LoadPlan, plan_of
from loadtest.recording import LATE_S, Recording, Window, new_histogram
from loadtest.slo import Condition, Judgement, judge

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
SATURATED_SHARE = 0.01
"""A window in which more of the requests are sent late is the generator's fault, not the server's."""
BUSY_CORES = 0.95
"""A sender that takes more of its one core than this cannot send in time."""

_MS_OF_US = 1e-3
_HALF_A_CORE = 0.5
_MANY_WINDOWS = 0.1
_BROKEN_WINDOWS = 3


@dataclass(frozen=True)
class Figures:
    """Figures of some windows of a test; `seconds` is how long they last."""

    windows: Sequence[Window]
    seconds: float

    @cached_property
    def latencies(self) -> HdrHistogram:
        """All latencies, in microseconds, from the intended send time."""
        merged = new_histogram()
        for window in self.windows:
            merged.add(window.latencies)
        return merged

    @cached_property
    def lags(self) -> HdrHistogram:
        """How long after its time each request's turn came, in microseconds."""
        merged = new_histogram()
        for window in self.windows:
            merged.add(window.lags)
        return merged

    def percentile_ms(self, percentile: float) -> float:
        """Latency below which so many per cent of the answers lie; NaN without any."""
        return percentile_ms(self.latencies, percentile)

    @property
    def mean_ms(self) -> float:
        """Mean latency."""
        return float(self.latencies.get_mean_value()) * _MS_OF_US if self.latencies.get_total_count() else math.nan

    @property
    def max_ms(self) -> float:
        """Longest latency."""
        return float(self.latencies.get_max_value()) * _MS_OF_US if self.latencies.get_total_count() else math.nan

    @cached_property
    def requests(self) -> int:
        """How many requests were due."""
        return self.total("due")

    @cached_property
    def right_answers(self) -> int:
        """How many were answered right."""
        return self.total("right_answers")

    @cached_property
    def errors(self) -> Counter[str]:
        """Failed requests by kind."""
        return sum((window.errors for window in self.windows), Counter())

    @property
    def error_texts(self) -> Mapping[str, str]:
        """One error of each kind, as it was worded."""
        texts: dict[str, str] = {}
        for window in self.windows:
            texts = {**window.texts, **texts}
        return texts

    @property
    def error_share(self) -> float:
        """Share of the requests that failed, 0..1, of those whose end is known."""
        failed = self.errors.total()
        known = failed + self.right_answers
        return failed / known if known else math.nan

    @property
    def accuracy(self) -> float:
        """Share of the labelled images that were classified right, 0..1; NaN without labels."""
        labelled = self.total("labelled")
        return self.total("classified_right") / labelled if labelled else math.nan

    @property
    def due_per_s(self) -> float:
        """Requests a second that the schedule had."""
        return self.requests / self.seconds

    @property
    def answered_per_s(self) -> float:
        """Right answers a second that came within these windows."""
        return self.total("answered") / self.seconds

    @property
    def in_flight(self) -> int:
        """Most requests without an answer at once, in one sending process."""
        return max((window.in_flight for window in self.windows), default=0)

    @property
    def late_share(self) -> float:
        """Share of the requests that were sent late."""
        return self.total("late") / self.requests if self.requests else 0.0

    @property
    def is_saturated(self) -> bool:
        """Whether the generator could not send in time, or hardly."""
        return self.late_share > SATURATED_SHARE or max((one.cpu for one in self.windows), default=0.0) > BUSY_CORES

    def total(self, name: str) -> int:
        """The sum of one of a window's counts."""
        return sum(getattr(window, name) for window in self.windows)


@dataclass(frozen=True)
class Outcome:
    """A whole test, judged."""

    recording: Recording
    plan: LoadPlan
    conditions: Sequence[Condition]

    @cached_property
    def figures(self) -> Figures:
        """Over everything that was measured."""
        return Figures(self._measured, self.seconds)

    @cached_property
    def _measured(self) -> list[Window]:
        return [one for one in self.recording.measured() if one.index * self.plan.window_s < self.plan.duration_s]

    @property
    def seconds(self) -> float:
        """How long was measured: the plan's duration, or until the last request of a test that was cut short."""
        if not self.is_partial:
            return self.plan.duration_s
        last = max((window.index for window in self._measured if window.due), default=0)
        return min(float((last + 1) * self.plan.window_s), self.plan.duration_s)

    @property
    def is_partial(self) -> bool:
        """Whether the test was cut short."""
        return self.recording.end.get("reason") != "finished"

    @cached_property
    def judgements(self) -> tuple[Judgement, ...]:
        """Each condition held against the figures."""
        return judge(self.conditions, self.figures)

    @property
    def is_met(self) -> bool:
        """Whether every condition is met; a test without an answer meets none, nor does a ramp that breaks."""
        broken = self.plan.shape == "ramp" and bool(self.conditions) and self.breaking_second is not None
        return all(one.met for one in self.judgements) and self.figures.right_answers > 0 and not broken

    @property
    def generator(self) -> str:
        """What sent the requests."""
        return str(self.recording.start.get("generator", "locust"))

    @property
    def has_course(self) -> bool:
        """Whether it is known when what came; wrk gives sums over all."""
        return self.generator != "wrk"

    @cached_property
    def by_window(self) -> list[Figures]:
        """Each window for itself, in order; everything as one where there is no course."""
        if not self.has_course:
            return [self.figures] if self._measured else []
        return [Figures([window], float(self.plan.window_s)) for window in self._measured]

    @property
    def saturated_windows(self) -> int:
        """How many windows the generator could not send in time."""
        return sum(one.is_saturated for one in self.by_window)

    @property
    def breaking_second(self) -> float | None:
        """The begin of the first three windows in a row that miss the SLO; None where there are none."""
        indices = [figures.windows[0].index for figures in self.missed_windows]
        for first, last in zip(indices, indices[_BROKEN_WINDOWS - 1 :], strict=False):
            if last - first == _BROKEN_WINDOWS - 1:
                return float(first * self.plan.window_s)
        return None

    @cached_property
    def missed_windows(self) -> list[Figures]:
        """The windows with requests that miss the objective, each held against it for itself."""
        return [
            figures
            for figures in self.by_window
            if figures.requests and not all(one.met for one in judge(self.latency_conditions, figures))
        ]

    @property
    def latency_conditions(self) -> tuple[Condition, ...]:
        """The conditions that each window can be held against: all but those on the rate over all."""
        return tuple(condition for condition in self.conditions if condition.figure != "rate")


def outcome_of(recording: Recording, conditions: Sequence[Condition]) -> Outcome:
    """A recording's figures, held against conditions."""
    plan: Mapping[str, Any] = recording.start["plan"]
    return Outcome(recording, plan_of(plan), conditions)


def percentile_ms(histogram: HdrHistogram, percentile: float) -> float:
    """A percentile in milliseconds; NaN of an empty histogram."""
    if not histogram.get_total_count():
        return math.nan
    return float(histogram.get_value_at_percentile(percentile)) * _MS_OF_US


def saturation_sentence(outcome: Outcome) -> str:
    """What to think of a test whose generator could not keep up; empty where it could in nine windows of ten."""
    if outcome.saturated_windows < _MANY_WINDOWS * len(outcome.by_window) or not outcome.saturated_windows:
        return ""
    figures = outcome.figures
    busiest = max((window.cpu for window in figures.windows), default=0.0)
    windows = f"{outcome.saturated_windows} of {len(outcome.by_window)} windows of {outcome.plan.window_s} s"
    reason = (
        "Locust itself is at its limit: use more --processes, other machines, or --generator h2load"
        if busiest > _HALF_A_CORE
        else "the machine that sends is too busy with other work"
    )
    return (
        f"Requests could not be sent in time in {windows}: {100 * figures.late_share:.3g} % of all went out more than "
        f"{1000 * LATE_S:g} ms late while connections were free. That is no fault of the server, and the latencies "
        f"there are not its own. A sender took up to {busiest:.2f} of a core, so {reason}."
    )
