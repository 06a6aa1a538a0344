"""When a question is asked again: pure.

Predictions change nothing on the server, so one that may or may not have been answered can safely be asked again.
"""

from __future__ import annotations

from serving.client.protocol import Reply

_STATUSES = frozenset({429, 503})
"""The queue is full; the version is leaving, or the gateway is stopping and another may take over."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0


def is_temporary(reply: Reply) -> bool:
    """Whether the gateway itself says that another try may do better; anything else would be answered alike."""
    return reply.status in _STATUSES


def pause_s(attempt: int, reply: Reply | None, chance: float) -> float:
    """Seconds before the try after number `attempt` (from 0): as the gateway asks for, else doubling.

    `chance` is a random number from 0 to 1, so that not all clients come back at once.
    """
    asked = reply.headers.get("retry-after", "") if reply is not None else ""
    if asked.isascii() and asked.isdigit():
        return min(float(asked), _LONGEST_PAUSE_S) * (1 + chance / 2)
    return min(_FIRST_PAUSE_S * 2.0**attempt, _LONGEST_PAUSE_S) * (0.5 + chance / 2)
