"""One request, or one part of a large one, on its way through the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from serving.batching.terms import Terms
from serving.errors import ServingError

Arrays = Mapping[str, np.ndarray]


class Entry:
    """Rows that run together, in a batch of entries with the same `key`.

    `waiting` tells whether the queue counts its rows, `flow` where it stands in the queue; both are the queue's.
    """

    __slots__ = ("answer", "flow", "inputs", "key", "queued_at", "rows", "size_bytes", "terms", "timer", "waiting")

    def __init__(
        self,
        inputs: Arrays,
        rows: int,
        size_bytes: int,
        terms: Terms,
        queued_at: float,
        answer: asyncio.Future[dict[str, np.ndarray]],
    ) -> None:
        self.inputs = inputs
        self.rows = rows
        self.size_bytes = size_bytes
        self.terms = terms
        self.queued_at = queued_at
        self.answer = answer
        self.key: Hashable = key_of(inputs)
        self.timer: asyncio.TimerHandle | None = None
        self.waiting = False
        self.flow: Any = None

    def refuse(self, error: ServingError) -> None:
        """Ends it with a cause, unless it has ended."""
        self.disarm()
        if not self.answer.done():
            self.answer.set_exception(error)

    def resolve(self, outputs: dict[str, np.ndarray]) -> None:
        """Ends it with its own rows, unless it has ended."""
        if self.timer is not None:
            self.disarm()
        if not self.answer.done():
            self.answer.set_result(outputs)

    def disarm(self) -> None:
        """Ends the deadline's hold on the entry, and with it on the inputs' memory."""
        if self.timer is not None:
            self.timer.cancel()


def key_of(inputs: Arrays) -> Hashable:
    """What batch-mates have to share: the shapes of a row."""
    if len(inputs) == 1:
        (array,) = inputs.values()
        return array.shape[1:]
    return tuple(array.shape[1:] for array in inputs.values())


def bytes_of(inputs: Arrays) -> int:
    """The memory that the inputs take, strings included."""
    size_bytes = 0
    for array in inputs.values():
        size_bytes += array.nbytes
        if array.dtype.hasobject:
            size_bytes += sum(map(len, array.flat))
    return size_bytes
