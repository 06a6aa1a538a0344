"""A line that follows a load test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from loadtest.plan import LoadPlan


@contextmanager
def progress_of(console: Console, plan: LoadPlan) -> Iterator[Any]:
    """Shows it while the test runs; what it yields is to be called with the recording so far."""
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
