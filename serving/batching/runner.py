"""Runs batches: on the event loop, in a thread, or on another server."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple, Protocol, cast

import numpy as np

from serving.batching.batch import check_rows, join
from serving.batching.entry import Arrays
from serving.batching.policy import CostModel
from serving.errors import InferenceError, ServingError, UnavailableError

log = logging.getLogger("atelier.batching")

BlockingRun = Callable[[Arrays], dict[str, np.ndarray]]
AwaitedRun = Callable[[Arrays, float | None], Awaitable[dict[str, np.ndarray]]]
Run = BlockingRun | AwaitedRun
"""Answers one batch: arrays with the rows of all its requests in, arrays with as many rows out.

A function is called on the event loop when it is predicted to be short, else in a thread. A coroutine function is for
what waits elsewhere, such as for another server: it is awaited on the event loop, and is told until when somebody
waits for the answer, in the event loop's time. Several may run at the same time (`instances`).
"""


_MEASURED_EVERY = 8
"""Of short runs of a known size; reading a thread's clock twice takes a few microseconds, which some models do not."""


class BatchObserver(Protocol):
    """Where figures of a finished batch go."""

    def __call__(self, *, rows: int, requests: int, oldest_wait_s: float, run_s: float) -> None:
        """One batch ended."""


class Outcome(NamedTuple):
    """How a batch's run ended; `cpu_s` is its thread's processor time, where that was measured."""

    outputs: dict[str, np.ndarray]
    error: ServingError | None
    run_s: float
    cpu_s: float | None


class Runner:
    """Runs the batches of one signature, and learns from their processor time which are short.

    Processor time, because on a busy machine waiting for a core or for Python's lock would make every model look slow,
    and runs that belong on the event loop would be sent to a thread, where they wait more.
    """

    def __init__(self, run: Run, executor: Executor, cost: CostModel) -> None:
        self._run = run
        self.is_awaited = inspect.iscoroutinefunction(run)
        """Whether batches run on another server."""
        self._executor = executor
        self._cost = cost
        self._loop = asyncio.get_running_loop()
        self._working: set[asyncio.Future[Outcome]] = set()
        self._unmeasured = 0

    def is_short(self, rows: int, inline_limit_us: float) -> bool:
        """Whether the event loop may wait for a run of that size."""
        return not self.is_awaited and self._cost.predict_s(rows) < inline_limit_us / 1e6

    def run_here(self, inputs: Sequence[Arrays], rows: int, padding_rows: int) -> Outcome:
        """Runs a batch on the event loop; `rows` counts its padding too."""
        self._unmeasured += 1
        if self._unmeasured < _MEASURED_EVERY and self._cost.knows(rows):
            return self._run_timed(inputs, rows, padding_rows)
        self._unmeasured = 0
        return self._learn(self._run_measured(inputs, rows, padding_rows), rows)

    def start(
        self,
        inputs: Sequence[Arrays],
        rows: int,
        padding_rows: int,
        deadline: float | None,
        done: Callable[[Outcome], None],
    ) -> None:
        """Has a batch run elsewhere; `done` is called on the event loop."""
        if self.is_awaited:
            work: asyncio.Future[Outcome] = self._loop.create_task(self.run_there(inputs, rows, padding_rows, deadline))
            self._working.add(work)
        else:
            try:
                work = self._loop.run_in_executor(self._executor, self._run_measured, inputs, rows, padding_rows)
            except RuntimeError:  # the executor is shut down
                done(_STOPPING)
                return

        def ended(work: asyncio.Future[Outcome]) -> None:
            self._working.discard(work)
            done(_STOPPING if work.cancelled() else self._learn(work.result(), rows))

        work.add_done_callback(ended)

    def _learn(self, outcome: Outcome, rows: int) -> Outcome:
        if outcome.error is None and outcome.cpu_s is not None:
            self._cost.observe(rows, outcome.cpu_s)
        return outcome

    def _run_measured(self, inputs: Sequence[Arrays], rows: int, padding_rows: int) -> Outcome:
        started_at = time.thread_time()
        outcome = self._run_timed(inputs, rows, padding_rows)
        return outcome._replace(cpu_s=time.thread_time() - started_at)

    def _run_timed(self, inputs: Sequence[Arrays], rows: int, padding_rows: int) -> Outcome:
        started_at = time.perf_counter()  # uvloop's time() stands still between two turns of the loop
        outputs: dict[str, np.ndarray] = {}
        failure: ServingError | None = None
        try:
            outputs = cast("BlockingRun", self._run)(join(inputs, padding_rows))
            failure = check_rows(outputs, rows)
        except Exception as error:  # noqa: BLE001 -- see _failure_of
            failure = _failure_of(error)
        return Outcome(outputs, failure, time.perf_counter() - started_at, None)

    async def run_there(
        self, inputs: Sequence[Arrays], rows: int, padding_rows: int, deadline: float | None
    ) -> Outcome:
        """Has another server run a batch; `rows` counts its padding too."""
        started_at = time.perf_counter()
        outputs: dict[str, np.ndarray] = {}
        failure: ServingError | None = None
        try:
            outputs = await cast("AwaitedRun", self._run)(join(inputs, padding_rows), deadline)
            failure = check_rows(outputs, rows)
        except Exception as error:  # noqa: BLE001 -- see _failure_of
            failure = _failure_of(error)
        return Outcome(outputs, failure, time.perf_counter() - started_at, None)


def _failure_of(error: Exception) -> ServingError:
    """Whatever a back end raises goes to the requests of its batch, and only causes of ours with their words.

    Without their tracebacks, which hold the frames that hold them, and the batch, until the garbage collector looks.
    """
    if isinstance(error, ServingError):
        return error.with_traceback(None)
    log.error("the model failed", exc_info=error)
    return InferenceError(f"the model failed: {type(error).__name__}")


_STOPPING = Outcome({}, UnavailableError("the gateway is stopping"), 0.0, None)
