"""On what terms a request waits: until when, in which class, on whose account, and what else its headers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})


class Priority(IntEnum):
    """The two classes of requests; HIGH goes first, LOW gets its share (`low_priority_share`)."""

    HIGH = 0
    LOW = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """What has to be known of a request beside its target and inputs.

    `deadline` is in the event loop's time. Requests of one `client` share one turn in the queue. `headers`, or gRPC's
    metadata, by their lower-case names, are for the traffic that goes by one of them.
    """

    deadline: float | None = None
    priority: Priority = Priority.HIGH
    client: str = ""
    headers: Mapping[bytes, bytes] = field(default_factory=lambda: NO_HEADERS)


DEFAULT_TERMS = Terms()
