"""A batcher in front of a model that answers each row with itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serving.batching.batcher import Batcher
from serving.batching.entry import Arrays
from serving.batching.policy import CostModel
from serving.batching.runner import Run
from serving.batching.settings import BatchSettings
from serving.batching.terms import Priority, Terms
from tests.support.stepping import HandClock, HandExecutor, turn


@dataclass
class EchoModel:
    """Answers `x` as `y`; `instead` replaces the next answers, one a batch, where it is not None."""

    batches: list[np.ndarray] = field(default_factory=list)
    instead: list[Callable[[Arrays], dict[str, np.ndarray]] | None] = field(default_factory=list)

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        self.batches.append(inputs["x"])
        answer = self.instead.pop(0) if self.instead else None
        return answer(inputs) if answer else {"y": inputs["x"].copy()}


@dataclass
class Observed:
    """What the batcher reported of its batches."""

    batches: list[tuple[int, int, float]] = field(default_factory=list)

    def __call__(self, *, rows: int, requests: int, oldest_wait_s: float, run_s: float) -> None:
        assert run_s >= 0
        self.batches.append((rows, requests, oldest_wait_s))


class Upstream:
    """Another server: answers when the test says so."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[float], float | None]] = []
        self.answers: list[asyncio.Future[None]] = []

    async def run(self, inputs: Arrays, deadline: float | None) -> dict[str, np.ndarray]:
        self.calls.append((inputs["x"][:, 0].tolist(), deadline))
        self.answers.append(asyncio.get_running_loop().create_future())
        await self.answers[-1]
        return {"y": inputs["x"]}

    async def answer(self, call: int) -> None:
        self.answers[call].set_result(None)
        await turn()

    async def fail(self, call: int, error: Exception) -> None:
        self.answers[call].set_exception(error)
        await turn()


class Stand:
    """A batcher on a clock and an executor that the test moves; `threaded` runs wait for `run_batch`."""

    def __init__(self, *, threaded: bool = True, run: Run | None = None, **settings: Any) -> None:
        self.model = EchoModel()
        self.observed = Observed()
        self.executor = HandExecutor()
        self.clock = HandClock(asyncio.get_running_loop())
        self.cost = CostModel()
        if not threaded:
            for power in range(12):
                self.cost.observe(2**power, 0.0)
        defaults = {"max_batch_size": 4, "max_queue_rows": 16, "inline_limit_us": 0.0 if threaded else 1e6}
        self.settings = BatchSettings.model_validate({**defaults, **settings})
        self.batcher = Batcher(
            run or self.model,
            self.settings,
            self.executor,
            self.observed,
            self.cost,
            clock=lambda: self.clock.now,
        )
        self.requests: list[asyncio.Task[dict[str, np.ndarray]]] = []

    async def ask(
        self,
        *values: float,
        width: int = 1,
        deadline: float | None = None,
        priority: Priority = Priority.HIGH,
        client: str = "",
    ) -> asyncio.Task[dict[str, np.ndarray]]:
        """Submits one request with a row for each value, and lets it get into the queue."""
        rows = np.repeat(np.float64(values)[:, np.newaxis], width, axis=1)
        task = asyncio.create_task(self.batcher.submit({"x": rows}, len(rows), Terms(deadline, priority, client)))
        self.requests.append(task)
        task.add_done_callback(_look_at)
        await turn()
        return task

    async def run_batch(self) -> None:
        """Has the batch that was handed to the executor answered."""
        self.executor.run_next()
        await turn()

    async def advance(self, seconds: float) -> None:
        """Moves the clock on."""
        self.clock.now += seconds
        await turn()

    def reconfigure(self, **settings: Any) -> None:
        """Changes settings while requests wait and run."""
        self.settings = self.settings.changed_by(BatchSettings(**settings))
        self.batcher.reconfigure(self.settings)

    @property
    def batches(self) -> list[list[float]]:
        """The first column of what the model was given, batch by batch."""
        return [batch[:, 0].tolist() for batch in self.model.batches]


def _look_at(task: asyncio.Task[dict[str, np.ndarray]]) -> None:
    """Keeps asyncio from reporting, in whatever test runs then, that nobody looked at a refusal."""
    if not task.cancelled():
        task.exception()


def column(task: asyncio.Task[dict[str, np.ndarray]]) -> list[float]:
    """The answer of a finished request, as the values it was asked with."""
    values: list[float] = task.result()["y"][:, 0].tolist()
    return values
