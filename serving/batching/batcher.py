"""The shell around the batching policy: the queue of one signature of a loaded version, and the runs that it feeds.

Everything but the model's run happens on one event loop, so nothing here is locked. While a batch runs, requests
queue; when it ends, what is queued goes next. An idle batcher starts as soon as the event loop has delivered all that
was readable, which is what gathers simultaneous requests without a timer.

Who waits in which order is the queue's to say (serving/batching/queue.py), who is let in the door's
(serving/batching/door.py), and how a batch is run the runner's (serving/batching/runner.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np

from serving.batching.batch import first_rows, hand_out
from serving.batching.door import Door, Moment
from serving.batching.entry import Arrays, Entry, bytes_of
from serving.batching.pace import Pace
from serving.batching.policy import CostModel, padded, split
from serving.batching.queue import FairQueue
from serving.batching.runner import BatchObserver, Outcome, Run, Runner
from serving.batching.settings import BatchSettings
from serving.batching.size_limit import SizeLimit
from serving.batching.terms import DEFAULT_TERMS, Terms
from serving.errors import DeadlineExceededError, InvalidInputError, OverloadedError, UnavailableError

_SHARE_OF_SLO = 0.5
"""What one batch may take of it: a request waits for the batch that runs when it comes, and runs in the next."""

_MOST_BATCHES_IN_A_ROW = 4
"""No more than the growth that `Pace` believes in: the first one's turn has the answers of all of the row before."""
_MOST_REQUESTS_IN_A_ROW = 16
_CLOCK_TICK_S = 0.001
"""What the event loop's clock does not see: deadlines as close as that are left to its timers."""


class Batcher:
    """Batches the requests of one signature; `run` answers one batch, see `Run`."""

    def __init__(
        self,
        run: Run,
        settings: BatchSettings,
        executor: Executor,
        observe: BatchObserver,
        cost: CostModel,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._runner = Runner(run, executor, cost)
        self._observe = observe
        self._clock = clock
        self._queue = FairQueue(settings.low_priority_share)
        self._pace = Pace()
        self._door = Door(self._queue, self._pace, settings)
        self._running: list[float] = []
        """When each batch that runs now is expected to end, by `clock`."""
        self._wake: asyncio.Handle | None = None
        self._wakes_at_once = False
        self._is_quiet = False
        """Whether requests come one by one: the last batch had one, and none has been run in this turn of the loop."""
        self._loop = asyncio.get_running_loop()
        self.reconfigure(settings)

    def reconfigure(self, settings: BatchSettings) -> None:
        """Goes by other settings from now on; requests that wait already keep their places and parts."""
        self._door.reconfigure(settings)
        self._queue.share(settings.low_priority_share)
        self._instances = settings.instances
        self._allowed_sizes = settings.allowed_batch_sizes
        self._inline_limit_us = settings.inline_limit_us
        self._batch_timeout_s = settings.batch_timeout_ms / 1e3
        budget_s = None if settings.slo_ms is None else settings.slo_ms / 1e3 * _SHARE_OF_SLO
        self._size_limit = SizeLimit(settings.max_batch_size, budget_s)
        self._schedule()

    @property
    def queued_rows(self) -> int:
        """Rows that wait now."""
        return self._queue.rows

    @property
    def batch_size_limit(self) -> int:
        """Rows that the next batch may have: `max_batch_size`, or what the SLO leaves of it."""
        return self._size_limit.rows

    async def submit(self, inputs: Arrays, rows: int, terms: Terms = DEFAULT_TERMS) -> dict[str, np.ndarray]:
        """Answers `rows` rows.

        Raises:
            OverloadedError: the queue is full, or the answer would come too late.
            DeadlineExceededError: the deadline passed first; a request that still waits is then never run.
            InvalidInputError, PayloadTooLargeError: more than the queue could ever hold.
            InferenceError: the model failed.
            UnavailableError: the gateway is stopping.
        """
        size_limit = self._size_limit.rows
        if self._may_run_where_it_stands(rows, terms):
            return await self._run_where_it_stands(inputs, rows, terms.deadline)
        # Counting the bytes of millions of strings takes its time: rows that are refused anyway are not counted.
        size_bytes = bytes_of(inputs) if rows <= self._door.max_rows else 0
        if not self._door.admits_at_once(terms, rows, size_bytes, size_limit):
            for leaving in self._door.make_room(self._moment(), terms, rows, size_bytes):
                leaving.refuse(OverloadedError("gave way to clients that ask for less", self._retry_after_s()))
                self._abandon(leaving)
        if rows <= size_limit:
            entry = self._enqueue(inputs, rows, size_bytes, terms)
            try:
                return await entry.answer
            except asyncio.CancelledError:
                self._abandon(entry)
                raise
            finally:
                del entry  # else an error and this frame hold each other until the garbage collector looks
        parts = [
            self._enqueue(part, stop - start, bytes_of(part), terms)
            for start, stop in split(rows, size_limit)
            for part in [{name: array[start:stop] for name, array in inputs.items()}]
        ]
        try:
            answers = await asyncio.gather(*(part.answer for part in parts))
        finally:
            for part in parts:
                part.answer.cancel()
                self._abandon(part)
            del parts, part  # as above
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def _may_run_where_it_stands(self, rows: int, terms: Terms) -> bool:
        """Whether a request needs no queue: nobody else is there, and its run would keep nobody waiting."""
        if (
            not self._is_quiet
            or self._running
            or self._queue.rows
            or self._batch_timeout_s
            or rows > self._size_limit.rows
        ):
            return False
        if terms.deadline is not None and terms.deadline <= self._loop.time() + _CLOCK_TICK_S:
            return False
        if self._runner.is_awaited:
            return True
        return self._runner.is_short(padded(rows, self._allowed_sizes), self._inline_limit_us)

    async def _run_where_it_stands(self, inputs: Arrays, rows: int, deadline: float | None) -> dict[str, np.ndarray]:
        """A batch of one, in the request's own task: no queue, no future, no other turn of the loop.

        Those that come in the same turn share the next batch. What runs on another server is given up with the request.
        """
        self._is_quiet = False
        self._loop.call_soon(self._turn_ended)
        run_rows = padded(rows, self._allowed_sizes)
        started_at = self._clock()
        if self._runner.is_awaited:
            ends_at = started_at + self._pace.run_s(rows)
            self._running.append(ends_at)
            try:
                outcome = await self._runner.run_there([inputs], run_rows, run_rows - rows, deadline)
            finally:
                self._running.remove(ends_at)
                self._schedule()
        else:
            outcome = self._runner.run_here([inputs], run_rows, run_rows - rows)
        self._learn(rows, 1, 0.0, started_at, outcome)
        if outcome.error is not None:
            try:
                raise outcome.error
            finally:
                del outcome  # as above
        return first_rows(outcome.outputs, rows) if run_rows > rows else outcome.outputs

    def _turn_ended(self) -> None:
        self._is_quiet = not self._queue.rows

    def admit(self, rows: int, terms: Terms = DEFAULT_TERMS) -> None:
        """Refuses what `submit` would refuse; this is for what takes long to decode first.

        Raises:
            InvalidInputError: more rows than the queue could ever hold.
            OverloadedError: the queue is full, or the answer would come too late.
        """
        if not self._door.admits_at_once(terms, rows, 0, self._size_limit.rows):
            self._door.make_room(self._moment(), terms, rows, 0)

    def _moment(self) -> Moment:
        now = self._loop.time()
        is_free = len(self._running) < self._instances
        free_in_s = 0.0 if is_free else max(0.0, min(self._running) - self._clock())
        return Moment(now, self._size_limit.rows, free_in_s, not self._running and not self._queue.rows)

    def _retry_after_s(self) -> float:
        return self._door.retry_after_s(self._moment())

    def _enqueue(self, inputs: Arrays, rows: int, size_bytes: int, terms: Terms) -> Entry:
        now = self._loop.time()
        entry = Entry(inputs, rows, size_bytes, terms, now, self._loop.create_future())
        if terms.deadline is not None:
            if terms.deadline <= now:
                entry.refuse(DeadlineExceededError("the deadline had passed when the request arrived"))
                return entry
            entry.timer = self._loop.call_at(terms.deadline, self._expire, entry)
        self._queue.push(entry)
        self._schedule()
        return entry

    def _expire(self, entry: Entry) -> None:
        entry.refuse(DeadlineExceededError("the deadline passed before the model answered"))
        self._abandon(entry)

    def _abandon(self, entry: Entry) -> None:
        """Nobody waits for this answer any more: its rows and memory are free at once, not when its turn comes."""
        self._queue.leave(entry)
        entry.disarm()
        entry.inputs = {}

    def _schedule(self) -> None:
        """Sees to it that `_start_batches` runs soon: at once when a batch is full or nobody waits for more."""
        if not self._queue.rows or len(self._running) >= self._instances:
            return
        at_once = self._batch_timeout_s == 0.0 or self._queue.rows >= self._size_limit.rows
        if self._wake is not None:
            if self._wakes_at_once or not at_once:
                return
            self._wake.cancel()
        self._wakes_at_once = at_once
        if at_once:
            self._wake = self._loop.call_soon(self._start_batches)
            return
        oldest = self._queue.head()
        since = self._loop.time() if oldest is None else oldest.queued_at
        self._wake = self._loop.call_at(since + self._batch_timeout_s, self._start_batches)

    def _start_batches(self) -> None:
        """Starts the next batch; behind a short one of few requests those that are full already, in the time of one.

        Their requests are answered together then, and more of what that needs is in the processor's caches. Many
        requests in a batch have that anyway, and answering those of several would keep everybody else waiting.
        """
        self._wake = None
        left_s, left_requests = self._inline_limit_us / 1e6, _MOST_REQUESTS_IN_A_ROW
        for _ in range(_MOST_BATCHES_IN_A_ROW):
            ran = self._start_batch()
            if ran is None or self._queue.rows < self._size_limit.rows:
                break
            run_s, requests = ran
            left_s -= run_s
            left_requests -= requests
            if left_s <= run_s or left_requests < requests:
                break
        self._schedule()

    def _start_batch(self) -> tuple[float, int] | None:
        """Takes the next batch from the queue; how long it ran and its requests, or None where it did not run here."""
        batch = self._queue.take(self._size_limit.rows)
        if not batch:
            return None
        rows = sum([entry.rows for entry in batch])
        run_rows = padded(rows, self._allowed_sizes)
        self._is_quiet = len(batch) == 1
        waited_s = self._loop.time() - batch[0].queued_at
        started_at = self._clock()
        inputs = [entry.inputs for entry in batch]
        if self._runner.is_short(run_rows, self._inline_limit_us):
            outcome = self._runner.run_here(inputs, run_rows, run_rows - rows)
            self._finish(batch, rows, waited_s, started_at, outcome)
            return outcome.run_s, len(batch)
        ends_at = started_at + self._pace.run_s(rows)
        self._running.append(ends_at)

        def done(outcome: Outcome) -> None:
            self._running.remove(ends_at)
            self._finish(batch, rows, waited_s, started_at, outcome)
            self._schedule()

        self._runner.start(inputs, run_rows, run_rows - rows, _last_deadline(batch), done)
        return None

    def _finish(self, batch: Sequence[Entry], rows: int, waited_s: float, started_at: float, outcome: Outcome) -> None:
        error = outcome.error
        self._learn(rows, len(batch), waited_s, started_at, outcome)
        if error is None:
            hand_out(batch, outcome.outputs)
        elif isinstance(error, InvalidInputError) and len(batch) > 1:
            # The model refused somebody's input. Each request runs alone then, so that only the culprit is refused.
            self._queue.push_alone([entry for entry in batch if not entry.answer.done()])
        else:
            for entry in batch:
                entry.refuse(error)

    def _learn(self, rows: int, requests: int, waited_s: float, started_at: float, outcome: Outcome) -> None:
        if not isinstance(outcome.error, UnavailableError):
            self._observe(rows=rows, requests=requests, oldest_wait_s=waited_s, run_s=outcome.run_s)
        if outcome.error is None:
            took_s = self._pace.ended(rows, started_at, self._clock(), more_wait=self._queue.rows > 0)
            self._size_limit.observe(rows, took_s)


def _last_deadline(batch: Sequence[Entry]) -> float | None:
    """Until when somebody waits for the batch; None where somebody waits for ever."""
    deadlines = [entry.terms.deadline for entry in batch]
    return None if None in deadlines else max(deadline for deadline in deadlines if deadline is not None)
