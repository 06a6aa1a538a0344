"""How much of what makes work without asking for any a connection may send. Pure."""

from __future__ import annotations

from serving.client_limits import CANCELLED_CALLS

_MAX_FRAMES = 400
_FRAMES_PER_S = 100
_FRAMES_PER_ANSWER = 30
_BYTES_PER_FRAME = 2048
"""Clients say how much of an answer they have read, of the stream and of the connection, some for every 4 KiB."""
_SOON_S = 1.0


class Allowance:
    """Of one connection: frames of control, requests that are refused, and calls that end as soon as they are made."""

    def __init__(self) -> None:
        self._frames = _MAX_FRAMES
        self._ended = 0
        self._cancelled = 0

    def take_frame(self, cost: int = 1) -> bool:
        """Whether another frame of control may come, which is counted as so many."""
        self._frames -= cost
        return self._frames >= 0

    def take_cancelled(self, age_s: float) -> bool:
        """Whether a call may be cancelled, or broken by its client, so soon after it was made, which is counted."""
        self._ended += 1
        self._cancelled += age_s < _SOON_S
        return self._ended < CANCELLED_CALLS or self._cancelled * 2 < self._ended

    def grant_answer(self) -> None:
        """A call was answered."""
        self._ended += 1
        if self._frames < _MAX_FRAMES:
            self._grant(_FRAMES_PER_ANSWER)

    def grant_bytes(self, size: int) -> None:
        """So much of an answer was sent."""
        self._grant(size // _BYTES_PER_FRAME)

    def grant_second(self) -> None:
        """A second has passed."""
        self._grant(_FRAMES_PER_S)

    def _grant(self, frames: int) -> None:
        self._frames = min(self._frames + frames, _MAX_FRAMES)
