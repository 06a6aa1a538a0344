"""`wrk`: a closed loop over HTTP/1.1, whose figures a script of ours has it say at the end."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from loadtest.errors import LoadTestError
from loadtest.plan import LoadPlan
from loadtest.preparation import Prepared
from loadtest.recording import Window
from loadtest.tools.process import run_process, url_of

WRK_REMARK = (
    "wrk is a closed loop: each connection asks again once it has its answer, so a server that stalls is asked "
    "less, and its stall hides (coordinated omission); latency counts from the send time, there is no course over time "
    "and the rate is what came out. It looks at no answer; Locust checked answers before and after."
)

_QUANTILES = 2000


def run_wrk(folder: Path, plan: LoadPlan, prepared: Prepared, follow: Callable[[], str]) -> tuple[list[Window], str]:
    """What wrk saw, and why it ended; `follow` is called while it runs.

    Raises:
        LoadTestError: it failed, or there was no answer.
    """
    request = prepared.requests[0]
    (folder / "body").write_bytes(request.body)
    script = folder / "script.lua"
    script.write_text(
        f"local file = io.open({str(folder / 'body')!r}, 'rb')\nwrk.body = file:read('*a')\nfile:close()\n"
        f"wrk.method = 'POST'\nwrk.headers['content-type'] = '{request.api.content_type}'\n"
        "function done(summary, latency, requests)\n"
        "  io.write('errors ', summary.errors.connect, ' ', summary.errors.read, ' ', summary.errors.write, ' ',\n"
        "    summary.errors.timeout, ' ', summary.errors.status, '\\n')\n"
        "  io.write('requests ', summary.requests, ' longest ', latency.max, '\\n')\n"
        f"  for step = 0, {_QUANTILES - 1} do\n"
        f"    io.write('quantile ', latency:percentile((step + 0.5) * 100 / {_QUANTILES}), '\\n')\n"
        "  end\nend\n",
        encoding="utf-8",
    )
    command = [
        "wrk", "-t", "1", "-c", str(plan.connections), "-d", f"{round(plan.duration_s)}s",
        "--timeout", f"{max(round(plan.timeout_s), 1)}s", "-s", str(script), url_of(plan, prepared, request),
    ]  # fmt: skip
    output, reason = run_process(command, plan.duration_s, follow)
    if reason != "finished" and "requests" not in output:
        return [], reason
    return [read_wrk(output)], reason


def read_wrk(output: str) -> Window:
    """What our script has wrk say, as one window: latencies by their quantiles, which share the requests evenly.

    Raises:
        LoadTestError: there was no answer.
    """
    errors = re.search(r"^errors (\d+) (\d+) (\d+) (\d+) (\d+)$", output, re.MULTILINE)
    summary = re.search(r"^requests (\d+) longest (\d+)$", output, re.MULTILINE)
    quantiles = [int(value) for value in re.findall(r"^quantile (\d+)", output, re.MULTILINE)]
    if not errors or not summary or not quantiles or summary[1] == "0":
        raise LoadTestError(f"wrk got no answer: {output[-300:].strip()}")
    window = Window(0)
    names = ("not connected", "connection closed", "connection closed", "timed out", "HTTP status")
    for kind, count in zip(names, errors.groups(), strict=True):
        if int(count):
            window.errors[kind] += int(count)
            window.texts.setdefault(kind, "wrk says no more")
    answered, refused = int(summary[1]), int(errors[5])
    window.due = answered + window.errors.total() - refused
    window.right_answers = window.answered = answered - refused
    ends = np.arange(len(quantiles) + 1) * window.right_answers // len(quantiles)
    for value, count in zip(quantiles, np.diff(ends).tolist(), strict=True):
        if count:
            window.latencies.record_value(max(value, 1), count)
    window.latencies.record_value(max(int(summary[2]), 1))
    return window
