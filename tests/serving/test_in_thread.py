"""Work for threads, and what is left of it when nobody waits any more."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.in_thread import in_thread


class Body:
    """Something large."""


async def test_it_returns_what_the_function_does_and_raises_what_it_raises() -> None:
    assert await in_thread(None, sorted, [2, 1], reverse=True) == [2, 1]
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(None, int, "x")


async def test_what_waits_for_a_thread_and_is_cancelled_holds_nothing() -> None:
    may_end = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        running = asyncio.create_task(in_thread(executor, may_end.wait))
        await asyncio.sleep(0)
        body = Body()
        left = weakref.ref(body)
        waiting = asyncio.create_task(in_thread(executor, repr, body))
        await asyncio.sleep(0)
        del body
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        del waiting
        gc.collect()
        assert left() is None
        may_end.set()
        assert await running
