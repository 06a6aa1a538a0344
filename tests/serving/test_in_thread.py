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


async def test_what_runs_when_it_is_cancelled_ends_unheard() -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        has_begun.set()
        may_end.wait()
        raise ValueError

    with ThreadPoolExecutor(1) as executor:
        running = asyncio.create_task(in_thread(executor, work))
        await asyncio.to_thread(has_begun.wait)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        may_end.set()
        assert await in_thread(executor, int, "7") == 7


async def test_an_error_holds_what_was_worked_on_no_longer_than_it_lives() -> None:
    body = Body()
    left = weakref.ref(body)

    def refuse(body: Body) -> None:
        raise ValueError(str(body))

    with ThreadPoolExecutor(1) as executor:
        gc.disable()
        try:
            with pytest.raises(ValueError, match="Body"):
                await in_thread(executor, refuse, body)
            del body
            assert await in_thread(executor, int, "7") == 7  # the thread, too, has done with it
            assert left() is None
        finally:
            gc.enable()
