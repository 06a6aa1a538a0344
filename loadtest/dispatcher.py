"""Sends requests when their time has come, whatever became of those before: an open loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import gevent
from gevent.pool import Pool

from loadtest.apis import Request, WrongAnswerError
from loadtest.recording import Recorder
from loadtest.sending import Sender, SendError
from loadtest.target import Target

MAX_IN_FLIGHT = 20_000
"""More requests than this without an answer are not sent, but counted as failed: memory is finite."""

_YIELD_EVERY = 32
"""Requests that are overdue are sent in groups of this size, so that answers are read in between."""

Report = Callable[[Request, float, int, Exception | None], None]
"""Takes a request, its latency in seconds, its answer's length in bytes, and what went wrong."""


class Dispatcher:
    """Sends, checks and counts. Latencies count from the intended send time, so a stalled server cannot hide."""

    def __init__(
        self, senders: Mapping[str, Sender], target: Target, recorder: Recorder, timeout_s: float, report: Report
    ) -> None:
        self._senders = senders
        self._target = target
        self._recorder = recorder
        self._timeout_s = timeout_s
        self._report = report
        self._begin = 0.0
        self._pool = Pool()

    @property
    def in_flight(self) -> int:
        """Requests that have no answer yet."""
        return len(self._pool)

    def run(self, times: Iterable[float], requests: Iterator[Request], begin: float) -> None:
        """Sends a request at each of these seconds after `begin` (monotonic); returns once all are answered."""
        self._begin = begin
        overdue = 0
        for intended in times:
            wait_s = begin + intended - time.monotonic()
            overdue = 0 if wait_s > 0 else overdue + 1
            if wait_s > 0:
                gevent.sleep(wait_s)
            elif overdue % _YIELD_EVERY == 0:
                gevent.sleep(0)
            request = next(requests)
            if len(self._pool) >= MAX_IN_FLIGHT:
                self._recorder.sent(intended, self._now() - intended, len(self._pool), waits=True)
                self._fail(request, intended, SendError("not sent", f"{MAX_IN_FLIGHT:,} requests were in flight"))
            else:
                self._pool.spawn(self._one, intended, request)
        self._pool.join()

    def abandon(self) -> int:
        """Gives up what is in flight; how many requests that were."""
        count = len(self._pool)
        self._pool.kill(block=False)
        return count

    def _one(self, intended: float, request: Request) -> None:
        sender = self._senders[request.api.protocol]
        lag_s = self._now() - intended
        self._recorder.sent(intended, lag_s, len(self._pool), waits=not sender.has_free_connection())
        try:
            answer = sender.send(request, self._timeout_s - lag_s)
            at = self._now()
            right = request.check(self._target, answer)
        except (SendError, WrongAnswerError) as error:
            self._fail(request, intended, error)
            return
        labelled = 0 if request.labels is None else request.rows
        self._recorder.answered(intended, at, labelled=labelled, right=right)
        self._report(request, at - intended, len(answer), None)

    def _fail(self, request: Request, intended: float, error: SendError | WrongAnswerError) -> None:
        waited_s = self._now() - intended
        kind = error.kind if isinstance(error, SendError) else "wrong answer"
        in_vain = isinstance(error, SendError) and error.timed_out
        self._recorder.failed(intended, kind, str(error), waited_s=waited_s if in_vain else None)
        self._report(request, waited_s, 0, error)

    def _now(self) -> float:
        return time.monotonic() - self._begin
