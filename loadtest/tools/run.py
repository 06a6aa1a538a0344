"""A plan run with `h2load` or `wrk`: their figures as a recording like any other."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from loadtest.errors import TargetError, UsageError
from loadtest.figures import Outcome
from loadtest.plan import LoadPlan
from loadtest.preparation import prepare
from loadtest.recording import Recording, write_line
from loadtest.running import RECORDING, Processes, run_locust
from loadtest.tools.h2load import H2LOAD_REMARK, run_h2load
from loadtest.tools.wrk import WRK_REMARK, run_wrk

Tool = Literal["h2load", "wrk"]

_DEBIAN = {"h2load": "nghttp2-client", "wrk": "wrk"}
_REMARKS = {"h2load": H2LOAD_REMARK, "wrk": WRK_REMARK}
_RUN = {"h2load": run_h2load, "wrk": run_wrk}


def run_tool(
    tool: Tool, plan: LoadPlan, folder: Path, follow: Callable[[Recording], str], *, checks: bool = True
) -> Recording:
    """Runs a plan with `h2load` or `wrk`; Ctrl-C ends it early, without an exception.

    Raises:
        UsageError: the tool is not installed, or the plan is nothing for it.
        TargetError: the server, the model or its answers are not as they have to be.
        LoadTestError: the tool failed.
    """
    _require(tool, plan)
    prepared = prepare(plan)
    if checks:
        _check_answers(plan, folder / "checks-before")
    path = folder / RECORDING
    path.unlink(missing_ok=True)
    started = time.time() + (0.0 if tool == "wrk" else plan.warm_up_s)
    start = {
        "kind": "start", "generator": tool, "plan": plan.model_dump(mode="json"), "processes": 1, "begin": started,
        "images": f"one of {prepared.source}", "labelled": False, "remark": _REMARKS[tool],
    }  # fmt: skip
    recording = Recording()
    lines = [start]
    recording.add(lines)
    with tempfile.TemporaryDirectory() as name:
        try:
            windows, reason = _RUN[tool](Path(name), plan, prepared, lambda: follow(recording))
        finally:
            write_line(path, start)
    lines = [*(window.line() for window in windows), {"kind": "end", "reason": reason}]
    for line in lines:
        write_line(path, line)
    recording.add(lines)
    if checks and reason == "finished":
        _check_answers(plan, folder / "checks-after")
    follow(recording)
    return recording


def _require(tool: Tool, plan: LoadPlan) -> None:
    if shutil.which(tool) is None:
        raise UsageError(f"--generator {tool}: expected it to be installed (Debian: apt-get install {_DEBIAN[tool]})")
    if plan.shape not in {"constant", "soak"} or len(plan.mix) > 1:
        raise UsageError(f"--generator {tool}: expected the shape constant or soak and one API")
    if tool == "wrk" and not plan.api.startswith("rest-"):
        raise UsageError(f"--generator wrk: expected an API over REST, received {plan.api}; h2load can gRPC")
    if plan.is_tls and plan.ca_file is not None:
        raise UsageError(f"--generator {tool}: it checks no certificates, so --ca-file would be ignored")


def _check_answers(plan: LoadPlan, folder: Path) -> None:
    """A second of Locust; every answer has to be right."""
    folder.mkdir(parents=True, exist_ok=True)
    few = plan.model_copy(update={"shape": "constant", "rate": 10.0, "duration_s": 1.0, "warm_up_s": 0.0})
    recording = run_locust(few, folder, Processes(), lambda _: "")
    figures = Outcome(recording, few, ()).figures
    if figures.errors:
        kind, count = figures.errors.most_common(1)[0]
        raise TargetError(f"{count} of {figures.requests} answers are not right: {kind}: {figures.error_texts[kind]}")
