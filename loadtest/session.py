"""One load test from its plan to its outcome, with any generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from loadtest.environment import describe_environment
from loadtest.figures import Outcome, outcome_of
from loadtest.plan import LoadPlan
from loadtest.recording import Recording
from loadtest.report.run import RunReport
from loadtest.results import SERVER
from loadtest.running import Follow, Processes, run_locust
from loadtest.server_figures import ServerWatch
from loadtest.slo import Condition
from loadtest.tools.run import run_tool

_RECENT_WINDOWS = 8

Generator = Literal["locust", "h2load", "wrk"]


@dataclass(frozen=True)
class Session:
    """What sends a plan's requests, and what they are held against.

    `ends_when_broken`: a ramp ends once its objective is missed in three windows in a row. `checks_apart`: Locust
    checks the answers before and after the generators that look at none.
    """

    plan: LoadPlan
    conditions: Sequence[Condition]
    folder: Path
    generator: Generator = "locust"
    processes: Processes = field(default_factory=Processes)
    arguments: Sequence[str] = ()
    ends_when_broken: bool = True
    checks_apart: bool = True

    def run(self, follow: Follow) -> RunReport:
        """Runs it; Ctrl-C ends it early, with what was seen until then.

        Raises:
            LoadTestError: it could not be run; no request of it was sent.
        """
        plan, path = self.plan, self.folder / SERVER
        path.unlink(missing_ok=True)
        environment = describe_environment(plan.url, self.arguments, plan.ca_file)
        with ServerWatch(plan.url, plan.model, plan.ca_file, path) as watch:

            def follow_and_watch(recording: Recording) -> str:
                watch.begin = recording.start.get("begin")
                return follow(recording) or self._broken(recording)

            if self.generator == "locust":
                recording = run_locust(plan, self.folder, self.processes, follow_and_watch)
            else:
                recording = run_tool(self.generator, plan, self.folder, follow_and_watch, checks=self.checks_apart)
        return RunReport(outcome_of(recording, self.conditions), watch.samples, environment)

    def _broken(self, recording: Recording) -> str:
        if self.plan.shape != "ramp" or not self.ends_when_broken or not self.conditions or recording.end:
            return ""
        recent = dict(sorted(recording.windows.items())[-_RECENT_WINDOWS:])
        outcome = Outcome(Recording(recording.start, recent), self.plan, self.conditions)
        return "broke" if recording.start and outcome.breaking_second is not None else ""
