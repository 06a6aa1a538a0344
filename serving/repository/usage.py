"""What a loaded version has done so far, for those who ask over the Open Inference Protocol."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Usage:
    """Counts since the version was loaded; times in seconds, summed over requests."""

    answered_requests: int = 0
    answered_rows: int = 0
    answered_s: float = 0.0
    failed_requests: int = 0
    failed_s: float = 0.0
    batches: int = 0
    run_s: float = 0.0
    """A batch's time counts once for each request in it, because each of them waited for all of it."""
    last_run_at: float = 0.0
    """In seconds since the epoch; 0 before the first."""

    def answered(self, rows: int, seconds: float) -> None:
        """A request was answered, that long after it came to the batcher."""
        self.answered_requests += 1
        self.answered_rows += rows
        self.answered_s += seconds

    def failed(self, seconds: float) -> None:
        """The batcher or the model refused a request."""
        self.failed_requests += 1
        self.failed_s += seconds

    def ran(self, requests: int, seconds: float) -> None:
        """A batch ended."""
        self.batches += 1
        self.run_s += seconds * requests
        self.last_run_at = time.time()

    @property
    def waited_s(self) -> float:
        """What of the answered requests' time was not the model's."""
        return max(0.0, self.answered_s - self.run_s)
