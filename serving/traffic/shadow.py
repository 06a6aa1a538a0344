"""Asks a second version what a first one has answered already, and compares. Nobody waits for it.

Copies queue here, not at the version's batcher, and are asked one after the other with pauses, so that the shadow runs
only a set part of the time. What there is no room for is dropped, and whatever fails is only counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import numpy as np

from serving.batching.terms import Priority, Terms
from serving.errors import ServingError
from serving.observability.shadow_metrics import Pair, ShadowMetrics
from serving.signatures import Signature, Tensors
from serving.traffic.agreement import IncomparableError, compare, scores_of
from serving.traffic.settings import ShadowSettings

log = logging.getLogger("atelier.traffic")

MAX_QUEUE_REQUESTS = 64
MAX_QUEUE_BYTES = 16 * 1024 * 1024
_RUN_TIMEOUT_S = 30.0
_CLIENT = "shadow"


class Version(AbstractContextManager[Any], Protocol):
    """What the shadow has to know of a loaded version; entered while it answers."""

    name: str
    version: int
    labels: tuple[str, ...]
    signatures: Mapping[str, Signature]

    def run(self, signature_name: str, inputs: Tensors, terms: Terms) -> Awaitable[dict[str, np.ndarray]]:
        """Answers one of the graph's own signatures."""
        ...


class _Copy(NamedTuple):
    signature_name: str
    inputs: Tensors
    outputs: Tensors
    seconds: float
    pair: Pair
    labels: tuple[str, ...]
    size: int


class Shadow:
    """One model's shadow. `target` tells which version it is now, or that none is loaded."""

    def __init__(self, settings: ShadowSettings, target: Callable[[], Version | None], metrics: ShadowMetrics) -> None:
        self.settings = settings
        self._target = target
        self._metrics = metrics
        self._seen = 0
        self._queue: deque[_Copy] = deque()
        self._queued_bytes = 0
        self._work: asyncio.Task[None] | None = None

    def offer(self, primary: Version, signature_name: str, inputs: Tensors, outputs: Tensors, seconds: float) -> None:
        """Takes a copy of what a version has just answered, or does not. Returns at once and raises nothing."""
        target = self._target()
        if target is None or target is primary or target.version == primary.version:
            return
        self._seen += 1
        if int(self._seen * self.settings.share) == int((self._seen - 1) * self.settings.share):
            return
        pair = Pair(primary.name, target.version, primary.version)
        size = sum(array.nbytes for arrays in (inputs, outputs) for array in arrays.values())
        if len(self._queue) >= MAX_QUEUE_REQUESTS or self._queued_bytes + size > MAX_QUEUE_BYTES:
            self._metrics.dropped(pair)
            return
        self._queue.append(_Copy(signature_name, inputs, outputs, seconds, pair, primary.labels, size))
        self._queued_bytes += size
        if self._work is None:
            self._work = asyncio.get_running_loop().create_task(self._work_off())

    def close(self) -> None:
        """Forgets what waits and takes nothing more."""
        self._queue.clear()
        self._queued_bytes = 0
        self._target = lambda: None
        if self._work is not None:
            self._work.cancel()
            self._work = None

    async def _work_off(self) -> None:
        try:
            while self._queue:
                await self._work_at(self._queue.popleft())
        finally:
            self._work = None  # at once, or what is offered before the loop comes to it would be left lying

    async def _work_at(self, copy: _Copy) -> None:
        self._queued_bytes -= copy.size
        target = self._target()
        if target is None or target.version == copy.pair.primary_version:
            return  # the label has moved meanwhile
        started_at = time.perf_counter()
        with target:
            await self._ask(target, copy)
        took_s = time.perf_counter() - started_at
        await asyncio.sleep(took_s * (1 / self.settings.max_busy - 1))

    async def _ask(self, target: Version, copy: _Copy) -> None:
        pair = copy.pair._replace(version=target.version)
        started_at = time.perf_counter()
        try:
            signature = target.signatures[copy.signature_name]
            _check_inputs(copy.inputs, signature)
            deadline = asyncio.get_running_loop().time() + _RUN_TIMEOUT_S
            outputs = await target.run(copy.signature_name, copy.inputs, Terms(deadline, Priority.LOW, _CLIENT))
            shadow_s = time.perf_counter() - started_at
            found = compare(
                copy.outputs,
                outputs,
                scores=scores_of(signature),
                labels=(copy.labels, target.labels),
                tolerance=self.settings.tolerance,
            )
        except (ServingError, IncomparableError, KeyError):  # KeyError: it has no such signature or input
            self._metrics.failed(pair)
        except Exception:
            log.exception("%s: asking the shadow, version %d, failed", *pair[:2])
            self._metrics.failed(pair)
        else:
            self._metrics.compared(pair, **found._asdict(), primary_s=copy.seconds, shadow_s=shadow_s)


def _check_inputs(inputs: Tensors, signature: Signature) -> None:
    """Raises:
    IncomparableError: the signature takes other inputs.
    """
    for spec in signature.inputs:
        array = inputs[spec.name]
        if array.dtype != spec.element.numpy or not spec.accepts(array.shape):
            raise IncomparableError(f'input "{spec.name}" is not what the other version takes')
