"""`h2load`: an even rate over HTTP/2, and a log of every request."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from loadtest.errors import LoadTestError
from loadtest.plan import LoadPlan
from loadtest.preparation import Prepared
from loadtest.recording import LATE_S, Window, count_in
from loadtest.tools.process import run_process, url_of
from serving.wire.grpc_framing import encode_message

H2LOAD_REMARK = (
    "h2load sends evenly, in ticks of some milliseconds, over HTTP/2, and always the same request. Latency "
    "counts from the send time, and from the intended one where a request had to wait for a free stream or connection. "
    "It looks at no answer and, over gRPC, at no status; Locust checked answers before and after."
)

_STREAMS = 1000
"""Requests at once on one HTTP/2 connection."""
_CONNECTIONS = 8
_TICK_S = 0.01
"""All connections of h2load send at the same times, so there are few: none sends more seldom than its clock ticks."""
_OK = 200


def run_h2load(folder: Path, plan: LoadPlan, prepared: Prepared, follow: Callable[[], str]) -> tuple[list[Window], str]:
    """What h2load saw, and why it ended; `follow` is called while it runs.

    Raises:
        LoadTestError: it failed, or there was no answer.
    """
    request = prepared.requests[0]
    is_grpc = request.api.protocol == "grpc"
    body = encode_message(request.body) if is_grpc else request.body
    (folder / "body").write_bytes(body)
    headers = (
        ["content-type: application/grpc", "te: trailers"] if is_grpc else [f"content-type: {request.api.content_type}"]
    )
    connections = min(plan.connections, _CONNECTIONS, math.ceil(plan.rate * _TICK_S))
    log = folder / "log"
    command = [
        "h2load", "-t", "1", "-c", str(connections), "-m", str(_STREAMS),
        "-D", f"{1000 * (plan.warm_up_s + plan.duration_s):.0f}ms", f"--rps={plan.rate / connections:.6f}",
        *(flag for header in headers for flag in ("-H", header)), "-d", str(folder / "body"), f"--log-file={log}",
        url_of(plan, prepared, request),
    ]  # fmt: skip
    output, reason = run_process(command, plan.warm_up_s + plan.duration_s, follow)
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


def _window(windows: dict[int, Window], at: float, plan: LoadPlan) -> Window:
    index = int(at // plan.window_s)
    found = windows.get(index)
    if found is None:
        found = windows[index] = Window(index)
    return found
