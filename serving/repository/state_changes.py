"""Tells whoever waits that a version's state has changed."""

from __future__ import annotations

import asyncio


class StateChanges:
    """Announces them to any number of waiters; used on one event loop."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def announce(self) -> None:
        """Wakes everyone who waits for the next change."""
        self._next.set()
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """What is set at the next change. Taken before looking at what may change, nothing is missed."""
        return self._next
