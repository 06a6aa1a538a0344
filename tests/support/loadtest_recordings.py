"""Recordings made up for a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loadtest.figures import Outcome, outcome_of
from loadtest.plan import plan_of
from loadtest.recording import Recorder, Recording
from loadtest.slo import parse_slo


def made_up_outcome(fill: Callable[[Recorder], None], slo: str = "", *, end: str = "finished", **plan: Any) -> Outcome:
    """The outcome of a test in which `fill` counts what was seen; without an `end`, its last line is missing."""
    chosen = plan_of(plan)
    recorder = Recorder(chosen.window_s)
    fill(recorder)
    recording = Recording()
    recording.add([{"kind": "start", "generator": "locust", "plan": chosen.model_dump(mode="json"), "begin": 0.0}])
    recording.add(recorder.take())
    recording.add([{"kind": "end", "reason": end}] if end else [])
    return outcome_of(recording, parse_slo(slo))


def steady(recorder: Recorder, *, seconds: int, per_s: int, latency_s: float = 0.01, lag_s: float = 0.0001) -> None:
    """Counts requests that are all answered after the same time."""
    for number in range(seconds * per_s):
        at = (number + 0.5) / per_s
        recorder.sent(at, lag_s, 1, waits=False)
        recorder.answered(at, at + latency_s, labelled=1, right=number % 10 != 0)
