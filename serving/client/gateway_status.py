"""What a gateway answers about itself: its workers, its models, and their figures since it started."""

from __future__ import annotations

from collections.abc import Mapping

from serving.client.answers import Answer


class WorkerStatus(Answer):
    """One of the processes that answer; what it takes of the machine is zero where it does not run."""

    number: int
    state: str
    """serving, starting (for the first time) or restarting (after a crash)."""
    pid: int | None
    uptime_s: float
    restarts: int
    resident_bytes: float = 0.0
    cpu_s: float = 0.0
    open_fds: float = 0.0


class Requests(Answer):
    """How many have ended, and how."""

    ok: int = 0
    failed: int = 0


class Latency(Answer):
    """A histogram: upper bounds in seconds (None is infinity), each with the number of requests up to it."""

    buckets: tuple[tuple[float | None, int], ...] = ()
    sum_s: float = 0.0


class VersionFigures(Answer):
    """One version in all workers."""

    version: str
    state: str
    """AVAILABLE where every worker answers for it."""
    error: str
    labels: tuple[str, ...] = ()
    share: float = 0.0
    """The part of the requests that name neither a version nor a label."""
    is_shadow: bool = False
    workers: int = 0
    """Those in which it is available."""
    queue_rows: int = 0
    in_flight: int = 0
    batches: int = 0
    rows: int = 0


class ModelFigures(Answer):
    """One model in all workers."""

    name: str
    task: str | None
    problem: str = ""
    """What is wrong with its labels or traffic; what they said before goes on."""
    waiting_labels: Mapping[str, str] = {}
    """Label → version, where that version does not answer yet."""
    requests: Requests = Requests()
    latency: Latency = Latency()
    versions: tuple[VersionFigures, ...]


class GatewayStatus(Answer):
    """The answer of `GET /status`, the same from whichever worker."""

    version: str
    ready: bool
    reasons: tuple[str, ...]
    problems: tuple[str, ...] = ()
    """What is wrong with the configuration; what it said before goes on."""
    uptime_s: float
    workers: tuple[WorkerStatus, ...]
    models: tuple[ModelFigures, ...]
