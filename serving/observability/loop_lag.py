"""Measures how late an event loop is: the time in which a request would have waited for nothing but others' work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_LOOK_EVERY_S = 0.5


async def watch_loop(observe: Callable[[float], None]) -> None:
    """Gives the seconds by which a timer was late, twice a second, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LOOK_EVERY_S
        await asyncio.sleep(_LOOK_EVERY_S)
        observe(max(0.0, loop.time() - due))
