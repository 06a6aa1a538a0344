"""What the load-test commands share: the plan of their options, errors as sentences, a line that follows a test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from atelier.console import FAILED, WRONG_USE, needs_extra, sentences

if TYPE_CHECKING:
    from rich.console import Console

    from loadtest.plan import LoadPlan

_ONE_PROCESS: dict[str, tuple[set[Any], str]] = {
    "processes": ({1}, "which is one process"),
    "remote_workers": ({0}, "which is one process"),
}
_NOT_KEPT: dict[str, dict[str, tuple[set[Any], str]]] = {
    "h2load": {
        **_ONE_PROCESS,
        "spacing": ({"even"}, "which sends evenly"),
        "timeout": (set(), "which waits for every answer"),
    },
    "wrk": {
        **_ONE_PROCESS,
        "rate": (set(), "which has no rate: each connection asks again once it has its answer"),
        "first_rate": (set(), "which has no rate, so it finds no limit"),
        "spacing": (set(), "which has no schedule"),
        "warm_up": ({0.0}, "which measures from its first request on"),
    },
}
"""What a generator cannot do: the values of a flag that it keeps all the same, and why it keeps no other."""


def plan_of_flags(given: dict[str, Any], *, without_duration: bool = False) -> LoadPlan:
    """The plan that the flags say; without a duration, a trace lasts as long as it is and a soak an hour."""
    from loadtest.plan import LoadPlan, plan_of

    names = {name.removesuffix("_s"): name for name in LoadPlan.model_fields}
    fields = {names[name]: value for name, value in given.items() if name in names}
    if fields.get("trace") is not None:
        fields["shape"] = fields.get("shape") or "replay"
    if fields.get("shape") == "soak" and without_duration:
        fields["duration_s"] = 3600.0
    plan = plan_of(fields)
    if plan.trace is not None and without_duration:
        from loadtest.arrivals import read_trace

        times = read_trace(plan.trace, speed=plan.speed)
        plan = plan_of({**fields, "duration_s": float(times[-1]) + 1e-3})
    return plan


def generator_of(given: dict[str, Any]) -> Any:
    """The generator that the flags name; raises `UsageError`, also for a flag that it would ignore."""
    from loadtest.errors import UsageError

    name = given["generator"]
    if name not in {"locust", "h2load", "wrk"}:
        raise UsageError(f"--generator: expected locust, h2load or wrk, received {name!r}")
    for flag, (accepted, why) in _NOT_KEPT.get(name, {}).items():
        if given.get(flag) not in {*accepted, None}:
            raise UsageError(f"--{flag.replace('_', '-')}: expected without --generator {name}, {why}")
    return name


@contextlib.contextmanager
def load_test_errors() -> Iterator[None]:
    """Around a command's work: its causes as one sentence."""
    with needs_extra("loadtest"):
        from loadtest.errors import LoadTestError, TargetError, UsageError
        from loadtest.running import run_locust as _  # noqa: F401 -- what it needs, said before anything is done

    with sentences({UsageError: WRONG_USE, TargetError: WRONG_USE, LoadTestError: FAILED}, interrupted="interrupted"):
        yield


@contextlib.contextmanager
def progress_of(console: Console, plan: LoadPlan) -> Iterator[Any]:
    """A line that follows the test."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from loadtest.figures import Figures
    from loadtest.slo import milliseconds

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("preparing", total=plan.warm_up_s + plan.duration_s, figures="")

        def follow(recording: Any) -> str:
            if not recording.windows:
                return ""
            last = max(recording.windows)
            windows = [recording.windows[index] for index in sorted(recording.windows) if index >= 0]
            description = "warming up" if not windows else "measuring"
            figures = ""
            if windows:
                recent = Figures(windows[-4:-1] or windows, 1.0)
                failed = Figures(windows, 1.0).errors.total()
                rate = recent.total("answered") / (max(len(recent.windows), 1) * plan.window_s)
                figures = f"{rate:,.0f}/s  p99 {milliseconds(recent.percentile_ms(99))}  {failed:,} failed"
            at = min((last + 1) * plan.window_s + plan.warm_up_s, plan.warm_up_s + plan.duration_s)
            progress.update(task, description=description, completed=at, figures=figures)
            return ""

        yield follow
