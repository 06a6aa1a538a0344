"""On what terms a request waits: until when, in which class, and on whose account."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Priority(IntEnum):
    """The two classes of requests; HIGH goes first, LOW gets its share (`low_priority_share`)."""

    HIGH = 0
    LOW = 1


class Terms(NamedTuple):
    """What the batcher has to know of a request beside its inputs.

    `deadline` is in the event loop's time. Requests of one `client` share one turn in the queue.
    """

    deadline: float | None = None
    priority: Priority = Priority.HIGH
    client: str = ""


DEFAULT_TERMS = Terms()
