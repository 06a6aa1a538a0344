"""Heads that have come before on a connection, most of whose requests have the same one."""

from __future__ import annotations

from typing import Generic, TypeVar

from serving.http.requests import Head

_MOST_HEADS = 8
_MOST_BYTES = 1024
_MOST_HEADERS = 32
"""Of a head that is remembered: what ten thousand idle connections remember has to fit into memory."""

_KnownT = TypeVar("_KnownT")


class KnownHeads(Generic[_KnownT]):
    """What was read, by the bytes that it was read from."""

    def __init__(self) -> None:
        self._known: dict[bytes, _KnownT] = {}
        self.get = self._known.get
        self.clear = self._known.clear

    def keep(self, block: bytes, head: Head, known: _KnownT) -> None:
        """Remembers it, where that is worth its memory."""
        if len(block) <= _MOST_BYTES and len(head.scope["headers"]) <= _MOST_HEADERS and head.refusal is None:
            if len(self._known) >= _MOST_HEADS:
                self._known.clear()
            self._known[block] = known
