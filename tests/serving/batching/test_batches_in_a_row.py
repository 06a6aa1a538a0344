"""Full batches that wait follow each other in one turn of the event loop, where they are short and of few requests."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from serving.batching import runner
from serving.batching.entry import Arrays
from tests.support.batcher_stand import Stand, column


@pytest.mark.parametrize(("run_s", "in_a_turn"), [(0.00015, [3, 3]), (0.0003, [1] * 6), (0.0, [4, 2])])
async def test_full_batches_follow_each_other_at_once_for_as_long_as_one_may_take(
    run_s: float, in_a_turn: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def run(inputs: Arrays) -> dict[str, np.ndarray]:
        nonlocal now
        now += run_s
        return {"y": inputs["x"]}

    monkeypatch.setattr(runner, "time", SimpleNamespace(perf_counter=lambda: now, thread_time=lambda: now))
    stand = Stand(threaded=False, run=run, max_batch_size=2, inline_limit_us=500.0)
    requests = [asyncio.create_task(stand.batcher.submit({"x": np.full((2, 1), at)}, 2)) for at in range(6)]
    ran = [0]
    while len(stand.observed.batches) < 6:
        await asyncio.sleep(0)
        ran.append(len(stand.observed.batches))
    assert [after - before for before, after in itertools.pairwise(ran) if after > before] == in_a_turn
    await asyncio.wait(requests)
    assert [column(request) for request in requests] == [[at, at] for at in range(6)]


async def test_batches_of_many_requests_do_not_follow_each_other_at_once() -> None:
    stand = Stand(threaded=False, max_batch_size=16, max_queue_rows=64)
    requests = [asyncio.create_task(stand.batcher.submit({"x": np.full((1, 1), at)}, 1)) for at in range(48)]
    ran = [0]
    while ran[-1] < 3:
        await asyncio.sleep(0)
        ran.append(len(stand.observed.batches))
    assert max(after - before for before, after in itertools.pairwise(ran)) == 1
    await asyncio.wait(requests)
