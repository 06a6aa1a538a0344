"""The shell around the batching policy: a queue for each signature of a loaded version, and the runs it feeds.

Everything but the model's run happens on one event loop, so nothing here is locked. While a batch runs, requests
queue; when it ends, what is queued goes next. An idle batcher starts as soon as the event loop has delivered all that
was readable, which is what gathers simultaneous requests without a timer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from serving.batching.policy import CostModel, Waiting, count_to_take, split
from serving.batching.settings import BatchSettings
from serving.errors import (
    DeadlineExceededError,
    InferenceError,
    InvalidInputError,
    OverloadedError,
    ServingError,
    UnavailableError,
)

log = logging.getLogger("atelier.batching")

Arrays = Mapping[str, np.ndarray]


class BatchObserver(Protocol):
    """Where figures of a finished batch go."""

    def __call__(self, *, rows: int, requests: int, oldest_wait_s: float, run_s: float) -> None:
        """One batch ended."""


class _Outcome(NamedTuple):
    outputs: dict[str, np.ndarray]
    error: ServingError | None
    run_s: float
    cpu_s: float


@dataclass(slots=True, eq=False)
class _Entry:
    inputs: Arrays
    rows: int
    key: Hashable
    queued_at: float
    answer: asyncio.Future[dict[str, np.ndarray]]
    timer: asyncio.TimerHandle | None = field(default=None)
    waiting: bool = True

    def refuse(self, error: ServingError) -> None:
        self.disarm()
        if not self.answer.done():
            self.answer.set_exception(error)

    def resolve(self, outputs: dict[str, np.ndarray]) -> None:
        self.disarm()
        if not self.answer.done():
            self.answer.set_result(outputs)

    def disarm(self) -> None:
        """Ends the deadline's hold on the entry, and with it on the inputs' memory."""
        if self.timer is not None:
            self.timer.cancel()


class Batcher:
    """Batches the requests of one signature.

    `run` answers one batch: arrays with the rows of all its requests in, arrays with as many rows out. It is called on
    the event loop when it is predicted to be short, else in `executor`; never twice at the same time.
    """

    def __init__(
        self,
        run: Callable[[Arrays], dict[str, np.ndarray]],
        settings: BatchSettings,
        executor: Executor,
        observe: BatchObserver,
        cost: CostModel,
    ) -> None:
        self._run = run
        self._settings = settings
        self._executor = executor
        self._observe = observe
        self._cost = cost
        self._queue: deque[_Entry] = deque()
        self._queued_rows = 0
        self._running = False
        self._wake: asyncio.Handle | None = None
        self._wakes_at_once = False
        self._loop = asyncio.get_running_loop()

    @property
    def queued_rows(self) -> int:
        """Rows that wait now."""
        return self._queued_rows

    async def submit(self, inputs: Arrays, rows: int, deadline: float | None = None) -> dict[str, np.ndarray]:
        """Answers `rows` rows; `deadline` is in the event loop's time.

        Raises:
            OverloadedError: the queue is full.
            DeadlineExceededError: the deadline passed first; a request that still waits is then never run.
            InvalidInputError: more rows than the queue could ever hold.
            InferenceError: the model failed.
            UnavailableError: the gateway is stopping.
        """
        self.admit(rows)
        if rows <= self._settings.max_batch_size:
            entry = self._enqueue(inputs, rows, deadline)
            try:
                return await entry.answer
            except asyncio.CancelledError:
                self._abandon(entry)
                raise
        parts = [
            self._enqueue({name: array[part] for name, array in inputs.items()}, part.stop - part.start, deadline)
            for part in split(rows, self._settings.max_batch_size)
        ]
        try:
            answers = await asyncio.gather(*(part.answer for part in parts))
        finally:
            for part in parts:
                part.answer.cancel()
                self._abandon(part)
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def admit(self, rows: int) -> None:
        """Refuses what the queue has no room for; `submit` does so too, this is for what takes long to decode first.

        Raises:
            InvalidInputError: more rows than the queue could ever hold.
            OverloadedError: the queue is full.
        """
        limit = self._settings.max_queue_rows
        if rows > limit:
            raise InvalidInputError(f"expected at most {limit} rows in a request, received {rows}")
        if self._queued_rows + rows > limit:
            raise OverloadedError(f"the queue is full: {self._queued_rows} of {limit} rows wait, {rows} more were sent")

    def _enqueue(self, inputs: Arrays, rows: int, deadline: float | None) -> _Entry:
        now = self._loop.time()
        key = tuple(array.shape[1:] for array in inputs.values())
        entry = _Entry(inputs, rows, key, now, self._loop.create_future())
        if deadline is not None:
            if deadline <= now:
                entry.waiting = False
                entry.refuse(DeadlineExceededError("the deadline had passed when the request arrived"))
                return entry
            entry.timer = self._loop.call_at(deadline, self._expire, entry)
        self._queue.append(entry)
        self._queued_rows += rows
        self._schedule()
        return entry

    def _expire(self, entry: _Entry) -> None:
        entry.refuse(DeadlineExceededError("the deadline passed before the model answered"))
        self._abandon(entry)

    def _abandon(self, entry: _Entry) -> None:
        """Nobody waits for this answer any more: its rows and memory are free at once, not when its turn comes."""
        self._leave(entry)
        entry.disarm()
        entry.inputs = {}

    def _leave(self, entry: _Entry) -> None:
        if entry.waiting:
            entry.waiting = False
            self._queued_rows -= entry.rows

    def _schedule(self) -> None:
        """Sees to it that `_start_batch` runs soon: at once when a batch is full or nobody waits for more."""
        if self._running or not self._queue:
            return
        timeout_s = self._settings.batch_timeout_ms / 1e3
        at_once = timeout_s == 0.0 or self._queued_rows >= self._settings.max_batch_size
        if self._wake is not None:
            if self._wakes_at_once or not at_once:
                return
            self._wake.cancel()
        self._wakes_at_once = at_once
        if at_once:
            self._wake = self._loop.call_soon(self._start_batch)
        else:
            self._wake = self._loop.call_at(self._queue[0].queued_at + timeout_s, self._start_batch)

    def _start_batch(self) -> None:
        self._wake = None
        batch = self._take()
        if not batch:
            return
        rows = sum(entry.rows for entry in batch)
        inputs = [entry.inputs for entry in batch]
        waited_s = self._loop.time() - batch[0].queued_at
        if self._cost.predict_s(rows) < self._settings.inline_limit_us / 1e6:
            self._finish(batch, rows, waited_s, self._timed_run(inputs))
            return
        try:
            future = self._loop.run_in_executor(self._executor, self._timed_run, inputs)
        except RuntimeError:  # the executor is shut down
            for entry in batch:
                entry.refuse(UnavailableError("the gateway is stopping"))
            self._schedule()
            return
        self._running = True

        def done(future: asyncio.Future[_Outcome]) -> None:
            self._running = False
            self._finish(batch, rows, waited_s, future.result())

        future.add_done_callback(done)

    def _timed_run(self, inputs: Sequence[Arrays]) -> _Outcome:
        # perf_counter, because uvloop's time() stands still between two turns of the loop.
        started_at, cpu_started_at = time.perf_counter(), time.thread_time()
        outputs: dict[str, np.ndarray] = {}
        failure: ServingError | None = None
        try:
            outputs = self._run(_join(inputs))
        except ServingError as error:
            failure = error
        except Exception as error:  # whatever a back end raises goes to the requests of this batch only
            log.exception("the model failed")
            failure = InferenceError(f"the model failed: {type(error).__name__}")
        return _Outcome(outputs, failure, time.perf_counter() - started_at, time.thread_time() - cpu_started_at)

    def _take(self) -> list[_Entry]:
        """The next batch, without the requests that were cancelled or expired while they waited."""
        alive = (entry for entry in self._queue if not entry.answer.done())
        count = count_to_take((Waiting(entry.rows, entry.key) for entry in alive), self._settings.max_batch_size)
        batch: list[_Entry] = []
        while self._queue and (len(batch) < count or self._queue[0].answer.done()):
            entry = self._queue.popleft()
            self._leave(entry)
            if not entry.answer.done():
                batch.append(entry)
        return batch

    def _finish(self, batch: Sequence[_Entry], rows: int, waited_s: float, outcome: _Outcome) -> None:
        self._observe(rows=rows, requests=len(batch), oldest_wait_s=waited_s, run_s=outcome.run_s)
        error = outcome.error or _check_rows(outcome.outputs, rows)
        if error is None:
            self._cost.observe(rows, outcome.cpu_s)
            _answer(batch, outcome.outputs)
        elif isinstance(error, InvalidInputError) and len(batch) > 1:
            self._queue_one_by_one(batch)
        else:
            for entry in batch:
                entry.refuse(error)
        self._schedule()

    def _queue_one_by_one(self, batch: Sequence[_Entry]) -> None:
        """The model refused somebody's input. Each request runs alone then, so that only the culprit is refused."""
        for entry in reversed(batch):
            entry.key = entry  # like nobody else's
            entry.waiting = True
            self._queued_rows += entry.rows
            self._queue.appendleft(entry)


def _check_rows(outputs: Arrays, rows: int) -> ServingError | None:
    for name, array in outputs.items():
        if array.shape[:1] != (rows,):
            return InferenceError(f'output "{name}": expected {rows} rows from the model, received shape {array.shape}')
    return None


def _join(inputs: Sequence[Arrays]) -> Arrays:
    if len(inputs) == 1:
        return inputs[0]
    return {name: np.concatenate([arrays[name] for arrays in inputs]) for name in inputs[0]}


def _answer(batch: Sequence[_Entry], outputs: dict[str, np.ndarray]) -> None:
    if len(batch) == 1:
        batch[0].resolve(outputs)
        return
    start = 0
    for entry in batch:
        part = slice(start, start + entry.rows)
        entry.resolve({name: array[part] for name, array in outputs.items()})
        start = part.stop
