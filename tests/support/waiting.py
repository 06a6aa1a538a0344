"""Waiting for what another process does, without guessing how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def wait_until(condition: Callable[[], Any], timeout_s: float = 120.0) -> None:
    """Looks every 20 ms until the condition holds.

    Raises:
        AssertionError: it did not within `timeout_s`.
    """
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up_at, f"it did not happen within {timeout_s} s"
        time.sleep(0.02)
