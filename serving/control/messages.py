"""What the supervisor and one worker tell each other."""

from __future__ import annotations

from typing import Any, NamedTuple

DRAIN = "drain"
"""To a worker: say from now on that you are not ready."""
STOP_TAKING = "stop taking"
"""To a worker: close the ports."""
PEERS = "peers"
"""To a worker: the last report of every other worker, by number; see serving/control/readiness.py."""
REPORT = "report"
"""From a worker, when it has loaded what is there, and whenever that changes: a `readiness.Report`."""
BEAT = "beat"
"""From a worker, again and again: its event loop turns; see serving/control/pulse.py."""
LOOK = "look"
"""From a worker: have all others look for models now, as something has changed. To a worker: look."""
COLLECT = "collect"
"""To a worker: send your figures."""
FIGURES = "figures"
"""From a worker: its figures now, as `figures.Family` tuples. It has heeded everything that it was told before."""
ASK = "ask"
"""From a worker, for one of its clients: a number for the answer, and the name of a document of the whole gateway."""
ANSWER = "answer"
"""To a worker: that number, and the document."""
TRAFFIC = "traffic"
"""To a worker: what goes on over its connections? From a worker: a `Traffic`."""


class Traffic(NamedTuple):
    """Connections that are open; requests that are begun and not yet fully answered; and all requests so far."""

    connections: int
    in_flight: int
    requests: int


class Message(NamedTuple):
    """One thing told: what it is, and what belongs to it."""

    kind: str
    content: Any = None
