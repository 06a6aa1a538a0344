"""`h2load` and `wrk`, where Locust itself would be the bottleneck: their figures as a recording like any other.

Both send one request's body over and over, and look at no answer: a short test with Locust before and another after
check the answers.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from loadtest.apis import Request
from loadtest.errors import LoadTestError, TargetError, UsageError
from loadtest.figures import Outcome
from loadtest.plan import LoadPlan
from loadtest.preparation import Prepared, prepare
from loadtest.recording import LATE_S, Recording, Window, count_in, write_line
from loadtest.running import RECORDING, Processes, run_locust

Tool = Literal["h2load", "wrk"]

_STREAMS = 1000
"""Requests at once on one HTTP/2 connection."""
_CONNECTIONS = 8
_TICK_S = 0.01
"""All connections of h2load send at the same times, so there are few: none sends more seldom than its clock ticks."""
_DEBIAN = {"h2load": "nghttp2-client", "wrk": "wrk"}
_OK = 200
_POLL_S = 0.2
_LONGER_S = 30.0
_QUANTILES = 2000
_REMARKS = {
    "h2load": "h2load sends evenly, in ticks of some milliseconds, over HTTP/2, and always the same request. Latency "
    "counts from the send time, and from the intended one where a request had to wait for a free stream or connection. "
    "It looks at no answer and, over gRPC, at no status; Locust checked answers before and after.",
    "wrk": "wrk is a closed loop: each connection asks again once it has its answer, so a server that stalls is asked "
    "less, and its stall hides (coordinated omission); latency counts from the send time, there is no course over time "
    "and the rate is what came out. It looks at no answer; Locust checked answers before and after.",
}


def run_fast(
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
    request = prepared.requests[0]
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
        run = _h2load if tool == "h2load" else _wrk
        try:
            windows, reason = run(Path(name), plan, prepared, request, lambda: follow(recording))
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


def _h2load(
    folder: Path, plan: LoadPlan, prepared: Prepared, request: Request, follow: Callable[[], str]
) -> tuple[list[Window], str]:
    is_grpc = request.api.protocol == "grpc"
    body = b"\0" + len(request.body).to_bytes(4, "big") + request.body if is_grpc else request.body
    (folder / "body").write_bytes(body)
    headers = ["content-type: application/grpc", "te: trailers"] if is_grpc else [_content_type(request)]
    connections = min(plan.connections, _CONNECTIONS, math.ceil(plan.rate * _TICK_S))
    log = folder / "log"
    command = [
        "h2load", "-t", "1", "-c", str(connections), "-m", str(_STREAMS),
        "-D", f"{1000 * (plan.warm_up_s + plan.duration_s):.0f}ms", f"--rps={plan.rate / connections:.6f}",
        *(flag for header in headers for flag in ("-H", header)), "-d", str(folder / "body"), f"--log-file={log}",
        _url(plan, prepared, request),
    ]  # fmt: skip
    output, reason = _run(command, plan.warm_up_s + plan.duration_s, follow)
    rows = read_h2load_log(log.read_text(encoding="ascii") if log.is_file() else "")
    if not len(rows) and reason == "finished":
        raise LoadTestError(f"h2load got no answer: {output[-300:].strip()}")
    return h2load_windows(rows, plan, connections=connections, limit=connections * _STREAMS), reason


def read_h2load_log(text: str) -> np.ndarray:
    """Rows of h2load's log, int64 `[N, 3]`: start in µs of the epoch, status (-1: failed), duration in µs."""
    whole = text[: text.rfind("\n") + 1]
    return np.array([[int(cell) for cell in line.split("\t")[:3]] for line in whole.splitlines()], np.int64)


def h2load_windows(rows: np.ndarray, plan: LoadPlan, *, connections: int, limit: int) -> list[Window]:
    """What h2load saw, by intended send time.

    Each connection sends its k-th request at k / rate after the first, so in order of their starts the requests of all
    belong to these times. One that starts when `limit` are in flight has waited: it counts from its intended time. The
    lag of the others is h2load's own.
    """
    if not len(rows):
        return []
    starts, statuses, durations = rows[rows[:, 0].argsort(kind="stable")].T
    begin = starts[0]
    ends = np.sort(starts + durations)
    in_flight = np.arange(len(starts)) - np.searchsorted(ends, starts, side="right")
    intended = np.arange(len(starts)) // connections * (connections / plan.rate) - plan.warm_up_s
    sent = (starts - begin) / 1e6 - plan.warm_up_s
    windows: dict[int, Window] = {}
    for at, sent_at, status, duration, busy in zip(
        intended.tolist(), sent.tolist(), statuses.tolist(), (durations / 1e6).tolist(), in_flight.tolist(), strict=True
    ):
        window = _window(windows, at, plan)
        lag, waited = max(sent_at - at, 0.0), busy >= limit
        window.due += 1
        window.in_flight = max(window.in_flight, busy)
        window.waited += waited
        if not waited:
            window.late += lag > LATE_S
            count_in(window.lags, lag)
        if status == _OK:
            window.right_answers += 1
            count_in(window.latencies, duration + (lag if waited else 0.0))
            _window(windows, sent_at + duration, plan).answered += 1
        else:
            kind = "failed" if status < 0 else f"HTTP {status}"
            window.errors[kind] += 1
            window.texts.setdefault(kind, "h2load says no more")
    return [windows[index] for index in sorted(windows)]


def _wrk(
    folder: Path, plan: LoadPlan, prepared: Prepared, request: Request, follow: Callable[[], str]
) -> tuple[list[Window], str]:
    (folder / "body").write_bytes(request.body)
    name, _, value = _content_type(request).partition(": ")
    script = folder / "script.lua"
    script.write_text(
        f"local file = io.open({str(folder / 'body')!r}, 'rb')\nwrk.body = file:read('*a')\nfile:close()\n"
        f"wrk.method = 'POST'\nwrk.headers['{name}'] = '{value}'\n"
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
        "--timeout", f"{max(round(plan.timeout_s), 1)}s", "-s", str(script), _url(plan, prepared, request),
    ]  # fmt: skip
    output, reason = _run(command, plan.duration_s, follow)
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


def _run(command: Sequence[str], seconds: float, follow: Callable[[], str]) -> tuple[str, str]:
    """What the tool says, and why it ended."""
    with subprocess.Popen(  # noqa: S603 -- a tool by its name
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        reason, give_up_at = "finished", time.monotonic() + seconds + _LONGER_S
        output: list[str] = []
        try:
            while True:
                try:
                    output.append(process.communicate(timeout=_POLL_S)[0])
                    break
                except subprocess.TimeoutExpired:
                    follow()
                    if time.monotonic() > give_up_at:
                        raise LoadTestError(f"{command[0]} did not end in time") from None
        except KeyboardInterrupt:
            reason = "interrupted"
        finally:
            if process.poll() is None:
                process.terminate()
                output.append(process.communicate()[0])
        if process.returncode and reason == "finished":
            raise LoadTestError(f"{command[0]} ended with {process.returncode}: {''.join(output)[-300:].strip()}")
        return "".join(output), reason


def _window(windows: dict[int, Window], at: float, plan: LoadPlan) -> Window:
    index = int(at // plan.window_s)
    found = windows.get(index)
    if found is None:
        found = windows[index] = Window(index)
    return found


def _url(plan: LoadPlan, prepared: Prepared, request: Request) -> str:
    path = request.api.address(prepared.target)
    if request.api.protocol == "rest":
        return f"{plan.url}{path}"
    return f"{'https' if plan.is_tls else 'http'}://{plan.grpc_target}{path}"


def _content_type(request: Request) -> str:
    return f"content-type: {request.api.content_type}"
