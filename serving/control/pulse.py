"""How it is noticed that a worker hangs: its event loop says again and again that it turns. A pure class.

Whoever listens counts its own looks and not the clock's seconds: by the clock, one that was itself held up (a stopped
process, a frozen container, a machine that slept) would take everybody for hung when it goes on.
"""

from __future__ import annotations

LOOKS = 10
"""A worker beats, and the supervisor looks, so many times in the time after which a silent worker counts as hung."""


class Pulse:
    """Signs of life of one process. Before the first one it may take as long as it likes: it starts."""

    def __init__(self) -> None:
        self._silent_looks: int | None = None

    def heard(self) -> None:
        """It has said something."""
        self._silent_looks = 0

    def is_lost(self) -> bool:
        """Looks once; true at the look that finds it silent for `LOOKS` looks, and never again before it is heard."""
        if self._silent_looks is None:
            return False
        self._silent_looks += 1
        if self._silent_looks <= LOOKS:
            return False
        self._silent_looks = None
        return True
