"""A process beside the gateway's own, for what would keep its event loop, or Python's lock, from everybody else.

It is started with the first call, runs one function after another, and ends when nothing was asked of it for a while,
or with the process that has started it. The functions are those of modules, and travel by their names.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import PriorityQueue
from typing import IO, Any, ParamSpec, TypeVar, cast

from serving.child_python import command, environment
from serving.errors import OverloadedError, ServingError, UnavailableError
from serving.lifeline import end_with_parent
from serving.short_turns import take_usual_turns

_NICENESS = 5
"""The event loop goes first where cores are few."""
_LENGTH = struct.Struct("<Q")

log = logging.getLogger("atelier.helper")

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


class _Work:
    """One call, and where its answer goes."""

    def __init__(
        self, size_bytes: int, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> None:
        self.size_bytes = size_bytes
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.answer: Future[Any] = Future()


class HelperProcess:
    """Runs functions in one other process; of what waits for it, `max_waiting_bytes` at most."""

    def __init__(self, *, max_waiting_bytes: int = 128 * 1024 * 1024, idle_s: float = 600.0) -> None:
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting_bytes = 0
        self._idle_s = idle_s
        self._ends_when_idle: asyncio.TimerHandle | None = None
        # The only thread that touches the process, so that nothing here is locked.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="helper")
        self._process: subprocess.Popen[bytes] | None = None
        self._queue: PriorityQueue[tuple[int, int, _Work]] = PriorityQueue()
        self._numbers = itertools.count()
        self._begun_bytes = 0
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """The process' id, while there is one."""
        return None if self._process is None else self._process.pid

    async def call(self, size_bytes: int, function: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        """What the function returns there; `size_bytes` is what its arguments take while they wait.

        Raises:
            OverloadedError: too much waits.
            UnavailableError: the process has ended in the middle of it.
            ServingError: what the function raises.
        """
        if self._waiting_bytes and self._waiting_bytes + size_bytes > self._max_waiting_bytes:
            raise OverloadedError(f"{self._waiting_bytes:,} bytes wait to be read, {size_bytes:,} more were sent")
        if self._ends_when_idle is not None:
            self._ends_when_idle.cancel()
        loop = asyncio.get_running_loop()
        work = _Work(size_bytes, function, args, kwargs)
        self._queue.put((self._begun_bytes + size_bytes, next(self._numbers), work))
        self._executor.submit(self._run_next)
        done = asyncio.wrap_future(work.answer)
        self._waiting_bytes += size_bytes
        done.add_done_callback(lambda _: self._after(loop, size_bytes))
        try:
            return cast("ResultT", await done)
        except asyncio.CancelledError:
            if work.answer.cancel():
                work.args, work.kwargs = (), {}  # it stays in the queue
            raise
        finally:
            del done, work  # else an error and this frame hold each other, and the arguments, until the collector looks

    async def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self._is_closed = True
        if self._ends_when_idle is not None:
            self._ends_when_idle.cancel()
        if (process := self._process) is not None:
            process.kill()
        await asyncio.to_thread(self._executor.shutdown)
        self._end()

    def _after(self, loop: asyncio.AbstractEventLoop, size_bytes: int) -> None:
        self._waiting_bytes -= size_bytes
        if not self._waiting_bytes and not self._is_closed:
            self._ends_when_idle = loop.call_later(self._idle_s, self._executor.submit, self._end)

    def _run_next(self) -> None:
        """Short calls go first, but before no call more bytes than it has itself."""
        _, _, work = self._queue.get()
        self._begun_bytes += work.size_bytes
        if not work.answer.set_running_or_notify_cancel():
            return
        try:
            work.answer.set_result(self._call(work.function, work.args, work.kwargs))
        except BaseException as error:  # noqa: BLE001 -- whoever asked gets it
            work.answer.set_exception(error)
            del work  # as above

    def _call(self, function: Callable[..., ResultT], args: Sequence[Any], kwargs: dict[str, Any]) -> ResultT:
        if self._is_closed:
            raise UnavailableError("the gateway is stopping")
        was_there = self._process is not None
        try:
            succeeded, result = self._ask(function, args, kwargs)
        except (OSError, EOFError) as error:
            self._end()
            if was_there:  # it may have ended before it was asked; one that was started for this call ended over it
                return self._call(function, args, kwargs)
            raise UnavailableError("the process that was to read the request has ended; try again") from error
        if succeeded:
            return cast("ResultT", result)
        try:
            raise result
        finally:
            del result  # as above

    def _ask(self, *call: Any) -> Any:
        process = self._process = self._process or _start()
        _send(cast("IO[bytes]", process.stdin), call)
        return _receive(cast("IO[bytes]", process.stdout))

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _start() -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return subprocess.Popen(  # noqa: S603 -- a module of ours
        command("serving.offload.helper_process"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**kept, **environment()},  # it needs no token
    )


def _send(pipe: IO[bytes], value: Any) -> None:
    """Large buffers travel beside the pickle, so that they are copied as seldom as can be."""
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(value, 5, buffer_callback=buffers.append)
    parts = [memoryview(content), *(buffer.raw() for buffer in buffers)]
    pipe.write(_LENGTH.pack(len(parts)))
    for part in parts:
        pipe.write(_LENGTH.pack(len(part)))
        pipe.write(part)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    """Raises:
    EOFError: the other side has gone.
    """
    (count,) = _LENGTH.unpack(_read(pipe, _LENGTH.size))
    content, *buffers = [_read(pipe, *_LENGTH.unpack(_read(pipe, _LENGTH.size))) for _ in range(count)]
    return pickle.loads(content, buffers=buffers)  # noqa: S301 -- from our own process


def _read(pipe: IO[bytes], size: int) -> bytes:
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return content


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Runs what is asked for until the other side has gone."""
    while True:
        try:
            function, args, kwargs = _receive(requests)
        except EOFError:
            return
        try:
            answer = True, function(*args, **kwargs)
        except ServingError as error:
            answer = False, error.with_traceback(None)
        except Exception as error:
            log.exception("%s failed", function)
            answer = False, RuntimeError(f"{function} failed in the helper process: {error!r}")
        _send(answers, answer)


if __name__ == "__main__":
    end_with_parent()
    take_usual_turns()
    os.nice(_NICENESS)
    serve(sys.stdin.buffer, sys.stdout.buffer)
