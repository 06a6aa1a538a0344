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

    asyncio's own way ties a future of the executor's to one of the event loop's, which takes longer than this.

    When this is cancelled, the executor keeps in its queue what waits for a thread, without the arguments.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[ResultT] = loop.create_future()
    held: list[Any] = [(args, kwargs)]
    del args, kwargs
    if executor is None:
        loop.run_in_executor(None, _work, loop, [answer], function, held)
    else:
        executor.submit(_work, loop, [answer], function, held)
    try:
        return await answer
    except asyncio.CancelledError:
        held.clear()
        raise
    finally:
        del answer  # else an error and this frame hold each other until the garbage collector looks


def _work(
    loop: asyncio.AbstractEventLoop,
    answers: list[asyncio.Future[ResultT]],
    function: Callable[..., ResultT],
    held: list[Any],
) -> None:
    """Runs in the thread. An error that is raised there holds this frame, which therefore has to hold no answer."""
    loop.call_soon_threadsafe(_end, answers.pop(), *_outcome(function, held))


def _outcome(function: Callable[..., ResultT], held: list[Any]) -> tuple[ResultT | None, BaseException | None]:
    """What the function returned or raised; neither where nobody waits for it any more."""
    try:
        args, kwargs = held.pop()
    except IndexError:
        return None, None
    try:
        return function(*args, **kwargs), None
    except BaseException as error:  # noqa: BLE001 -- whoever waits gets it
        return None, error


def _end(answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
