"""When a connection is read: as long as what was read is wanted, and it is its turn."""

from __future__ import annotations

import asyncio

LONG_READ_BYTES = 256_000
"""uvloop's buffer. While it is full each time, uvloop reads one connection 32 times before it looks at the others."""


class Reading:
    """Pauses and resumes a transport for whoever takes what it reads."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._is_held = self._has_had_its_turn = self._is_paused = False

    def hold(self, *, holds: bool) -> None:
        """Whether what was read so far is enough for now."""
        if holds != self._is_held:
            self._is_held = holds
            self._pause_or_resume()

    def end_turn(self) -> None:
        """To be called after a read of `LONG_READ_BYTES`; goes on when others have been looked at."""
        if not self._has_had_its_turn:
            self._has_had_its_turn = True
            self._pause_or_resume()
            self._loop.call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        self._has_had_its_turn = False
        self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        pauses = self._is_held or self._has_had_its_turn
        if pauses != self._is_paused and not self._transport.is_closing():
            self._is_paused = pauses
            (self._transport.pause_reading if pauses else self._transport.resume_reading)()
