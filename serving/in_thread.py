"""Work for other threads, which holds nothing any more once nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


async def in_thread(
    executor: Executor | None, function: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs
) -> ResultT:
    """What the function returns in one of the executor's threads, or of the event loop's own.

    When this is cancelled, an executor keeps what waits for a thread in its queue, and forgets the arguments.
    """
    held: list[Any] = [(args, kwargs)]

    def work() -> ResultT:
        args, kwargs = held.pop()
        return function(*args, **kwargs)

    del args, kwargs
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, work)
    except asyncio.CancelledError:
        held.clear()
        raise
