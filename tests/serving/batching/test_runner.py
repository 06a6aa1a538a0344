"""What a runner learns of short runs, whose processor time it looks at now and then."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serving.batching import runner as runner_module
from serving.batching.policy import CostModel
from serving.batching.runner import Runner

LIMIT_US = 500.0
ONE_ROW = [{"x": np.zeros((1, 2), np.float32)}]


class Model:
    """Takes as much processor time as it is told to, by a clock that nothing else moves."""

    def __init__(self) -> None:
        self.run_s = 1e-5
        self.spent_s = 0.0
        self.looks = 0

    def thread_time(self) -> float:
        self.looks += 1
        return self.spent_s

    def __call__(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.spent_s += self.run_s
        return inputs


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    model = Model()
    monkeypatch.setattr(runner_module.time, "thread_time", model.thread_time)
    return model


async def test_a_model_that_becomes_slow_is_noticed_and_runs_elsewhere(model: Model) -> None:
    with ThreadPoolExecutor(1) as executor:
        runner = Runner(model, executor, CostModel())
        runner.run_here(ONE_ROW, 1, 0)
        assert runner.is_short(1, LIMIT_US)
        model.run_s = 0.1
        runs = 0
        while runner.is_short(1, LIMIT_US):
            runner.run_here(ONE_ROW, 1, 0)
            runs += 1
        assert runs <= runner_module._MEASURED_EVERY


async def test_the_clock_is_read_for_one_run_in_eight_and_for_sizes_that_are_not_known(model: Model) -> None:
    with ThreadPoolExecutor(1) as executor:
        runner = Runner(model, executor, CostModel())
        for _ in range(1 + 8 * 10):
            assert runner.run_here(ONE_ROW, 1, 0).error is None
        assert model.looks == 2 * (1 + 10)
        runner.run_here([{"x": np.zeros((4, 2), np.float32)}], 4, 0)
        assert model.looks == 2 * (1 + 10 + 1)
