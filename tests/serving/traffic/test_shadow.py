"""A shadow beside a primary: what it counts, and that nothing of it reaches anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

from serving.batching.terms import Priority, Terms
from serving.errors import InferenceError, OverloadedError
from serving.observability.metrics import Metrics
from serving.signatures import DEFAULT_SIGNATURE, Signature, Tensors, TensorSpec
from serving.traffic import shadow as shadow_module
from serving.traffic.settings import ShadowSettings
from serving.traffic.shadow import Shadow

SCORES = Signature((TensorSpec("x", "float32", (None, 2)),), (TensorSpec("y", "float32", (None, 2)),))
IN_FAVOUR = np.array([[0.9, 0.1]], np.float32)
AGAINST = np.array([[0.25, 0.75]], np.float32)


class Fake:
    """A version that answers what it is told to, once it may."""

    name = "digits"
    labels = ("no", "yes")

    def __init__(self, version: int, answer: Any = IN_FAVOUR, signature: Signature = SCORES) -> None:
        self.version = version
        self.signatures = {DEFAULT_SIGNATURE: signature}
        self.answer = answer
        self.asked = 0
        self.entered = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def __enter__(self) -> Self:
        self.entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.entered -= 1

    async def run(self, signature_name: str, inputs: Tensors, terms: Terms) -> dict[str, np.ndarray]:
        assert self.entered
        assert terms.priority is Priority.LOW
        self.asked += 1
        await self.may_answer.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"y": np.repeat(self.answer, len(inputs["x"]), axis=0)}


class Stand:
    """A shadow with its figures; `offer` copies what version 3 has answered."""

    def __init__(self, shadow: Fake | None, **settings: Any) -> None:
        self.target = shadow
        self.metrics = Metrics()
        chosen = ShadowSettings(target="canary", **{"max_busy": 1.0, **settings})
        self.shadow = Shadow(chosen, lambda: self.target, self.metrics.shadow)
        self.primary = Fake(3)

    def offer(self, rows: int = 1, primary: Fake | None = None, **inputs: np.ndarray) -> None:
        given: dict[str, np.ndarray] = inputs or {"x": np.zeros((rows, 2), np.float32)}
        outputs = {"y": np.repeat(IN_FAVOUR, rows, axis=0)}
        self.shadow.offer(primary or self.primary, DEFAULT_SIGNATURE, given, outputs, 0.25)

    async def settled(self) -> None:
        while self.shadow._work is not None:
            await asyncio.wait([self.shadow._work])
            await asyncio.sleep(0)

    def figure(self, name: str, **labels: str) -> float:
        labels = {"model_name": "digits", "version": "4", "primary_version": "3", **labels}
        return self.metrics.registry.get_sample_value(f"atelier_shadow_{name}", labels) or 0.0

    def outcomes(self) -> dict[str, float]:
        names = ("compared", "failed", "dropped")
        return {name: count for name in names if (count := self.figure("requests_total", outcome=name))}


async def test_rows_that_agree_and_that_do_not_are_counted_with_their_distance_and_both_times() -> None:
    stand = Stand(Fake(4, np.array([[0.25, 0.75]], np.float32)))
    stand.offer(rows=3)
    await stand.settled()
    stand.target.answer = np.array([[0.8, 0.2]], np.float32)  # type: ignore[union-attr]
    stand.offer(rows=2)
    await stand.settled()
    assert stand.outcomes() == {"compared": 2}
    assert stand.figure("rows_total", verdict="disagreed") == 3
    assert stand.figure("rows_total", verdict="agreed") == 2
    assert stand.figure("max_distance_sum") == pytest.approx(0.65 + 0.1)
    assert stand.figure("seconds_sum", side="primary") == 0.5
    assert stand.figure("seconds_count", side="shadow") == 2


async def test_the_share_is_kept_exactly() -> None:
    stand = Stand(Fake(4), share=0.25)
    for _ in range(40):
        stand.offer()
    await stand.settled()
    assert stand.outcomes() == {"compared": 10}


@pytest.mark.parametrize(
    "answer", [InferenceError("no"), OverloadedError("full"), RuntimeError("a bug"), np.zeros((1, 2, 2), np.float32)]
)
async def test_whatever_fails_is_only_counted(answer: Any) -> None:
    stand = Stand(Fake(4, answer))
    stand.offer()
    stand.offer()
    await stand.settled()
    assert stand.outcomes() == {"failed": 2}


@pytest.mark.parametrize(
    "signature",
    [
        Signature((TensorSpec("x", "float32", (None, 3)),), SCORES.outputs),
        Signature((TensorSpec("x", "uint8", (None, 2)),), SCORES.outputs),
        Signature((TensorSpec("z", "float32", (None, 2)),), SCORES.outputs),
    ],
)
async def test_a_version_that_takes_other_inputs_is_not_run(signature: Signature) -> None:
    target = Fake(4, signature=signature)
    stand = Stand(target)
    stand.offer()
    await stand.settled()
    assert (stand.outcomes(), target.asked) == ({"failed": 1}, 0)


async def test_a_busy_shadow_drops_copies_instead_of_piling_them_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow_module, "MAX_QUEUE_BYTES", 1000)
    target = Fake(4)
    target.may_answer.clear()
    stand = Stand(target)
    stand.offer()
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the first one is being asked
    stand.offer(rows=70)  # of 16 bytes each: more than there is room for
    for _ in range(70):
        stand.offer()
    assert stand.figure("requests_total", outcome="dropped") == 1 + 70 - 1000 // 16
    target.may_answer.set()
    await stand.settled()
    assert stand.figure("requests_total", outcome="compared") == 1 + 1000 // 16


async def test_what_is_offered_just_as_the_shadow_ends_its_work_is_asked_too() -> None:
    stand = Stand(Fake(4))
    stand.offer()
    working = stand.shadow._work
    assert working is not None
    while not working.done():  # noqa: ASYNC110 -- what counts is the very next turn
        await asyncio.sleep(0)
    stand.offer()
    await stand.settled()
    assert stand.outcomes() == {"compared": 2}


async def test_the_queue_is_bounded_in_requests() -> None:
    stand = Stand(Fake(4))
    for _ in range(shadow_module.MAX_QUEUE_REQUESTS + 5):
        stand.offer()
    assert stand.outcomes() == {"dropped": 5}
    stand.shadow.close()
    await stand.settled()
    assert stand.outcomes() == {"dropped": 5}


@pytest.mark.parametrize("target", [lambda: None, lambda: Fake(3)])
async def test_without_a_second_version_nothing_is_copied(target: Callable[[], Fake | None]) -> None:
    stand = Stand(target())
    stand.offer()
    assert stand.shadow._work is None


async def test_a_label_that_moves_to_the_primary_ends_what_waits() -> None:
    stand = Stand(Fake(4))
    stand.offer()
    stand.target = stand.primary
    await stand.settled()
    assert (stand.outcomes(), stand.primary.asked) == ({}, 0)


async def test_the_shadow_pauses_in_proportion_to_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    now = iter([0.0, 1.0, 3.0, 3.5])  # begun, asked, answered, ended
    stand = Stand(Fake(4), max_busy=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", pause)
        patch.setattr(shadow_module.time, "perf_counter", lambda: next(now))
        stand.offer()
        assert stand.shadow._work is not None
        await asyncio.wait([stand.shadow._work])
    assert pauses == [pytest.approx(3.5 * 9)]
    assert stand.figure("seconds_sum", side="shadow") == 2.0


async def test_figures_of_versions_that_are_gone_are_forgotten() -> None:
    metrics = Metrics()
    figures = metrics.shadow
    for version, primary in ((4, 3), (5, 4), (5, 3)):
        figures.failed(shadow_module.Pair("digits", version, primary))
    figures.forget_version("digits", 4)
    left = [sample.labels for family in metrics.registry.collect() for sample in family.samples]
    assert {(labels["version"], labels["primary_version"]) for labels in left if "primary_version" in labels} == {
        ("5", "3")
    }
