from __future__ import annotations

import asyncio
import gc
import io
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.errors import InvalidInputError, OverloadedError, UnavailableError
from serving.offload import helper_process
from serving.offload.helper_process import HelperProcess
from tests.support.processes import is_alive
from tests.support.waiting import wait_until

MEGABYTE = 1_000_000
_CALLS = """
import asyncio, os, sys
from pathlib import Path
from serving.offload.helper_process import HelperProcess

async def main() -> None:
    helper = HelperProcess()
    print(await helper.call(0, os.getpid), flush=True)
    await helper.call(0, Path.read_bytes, Path(sys.argv[1]))

asyncio.run(main())
"""
"""A program that asks for a call that takes as long as its pipe is open."""


@asynccontextmanager
async def helper(**options: Any) -> AsyncIterator[HelperProcess]:
    process = HelperProcess(**options)
    try:
        yield process
    finally:
        await process.close()


async def test_functions_run_in_one_other_process_that_is_started_with_the_first() -> None:
    async with helper() as process:
        assert process.pid is None
        pids = [await process.call(0, os.getpid) for _ in range(2)]
        assert pids == [process.pid] * 2
        assert pids[0] != os.getpid()
    assert not is_alive(pids[0])


@pytest.mark.parametrize("size", [0, 1, 3 * MEGABYTE])
async def test_arrays_and_bytes_come_back_as_they_were_sent(size: int) -> None:
    async with helper() as process:
        array = np.arange(size, dtype=np.float64).reshape(1, -1)
        back = await process.call(array.nbytes, np.negative, array)
        assert back.dtype == array.dtype
        assert np.array_equal(back, -array)
        assert await process.call(size, bytes.swapcase, b"a" * size) == b"A" * size


async def test_what_a_function_refuses_is_refused_here() -> None:
    from serving.wire.json_bodies import parse_object

    async with helper() as process:
        with pytest.raises(InvalidInputError, match="JSON body: expected an object, received a list"):
            await process.call(2, parse_object, b"[]")
        assert await process.call(2, parse_object, b"{}") == {}


async def test_a_function_that_fails_by_its_own_fault_fails_here_and_the_process_goes_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with helper() as process:
        with pytest.raises(RuntimeError, match="ValueError"):
            await process.call(0, int, "no number")
        pid = process.pid
        assert await process.call(0, os.getpid) == pid
    assert "ValueError: invalid literal" in capfd.readouterr().err


async def test_a_process_that_dies_is_told_of_and_started_anew() -> None:
    async with helper() as process:
        for _ in range(2):
            with pytest.raises(UnavailableError, match="try again"):
                await process.call(0, os._exit, 1)
        pid = await process.call(0, os.getpid)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid))
        assert await process.call(0, os.getpid) != pid


async def test_a_process_that_was_there_and_dies_under_a_call_costs_it_nothing() -> None:
    async with helper() as process:
        pid = await process.call(0, os.getpid)
        os.kill(pid, signal.SIGSTOP)
        call = asyncio.create_task(process.call(0, os.getpid))
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        assert await call not in {pid, os.getpid()}


async def test_it_ends_when_nothing_is_asked_of_it_and_not_before() -> None:
    async with helper(idle_s=0.0) as process:
        asked = [process.call(1, time.sleep, 0.01) for _ in range(3)]
        await asyncio.gather(*asked)
        await asyncio.to_thread(wait_until, lambda: process.pid is None)
        assert await process.call(0, os.getpid) > 0


async def test_more_than_may_wait_is_refused_and_let_in_later() -> None:
    async with helper(max_waiting_bytes=10) as process:
        first = asyncio.create_task(process.call(8, time.sleep, 0.2))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match=r"^8 bytes wait to be read, 3 more were sent$"):
            await process.call(3, os.getpid)
        second = asyncio.create_task(process.call(2, os.getpid))
        await first
        assert await second == process.pid
        assert await process.call(99, os.getpid) == process.pid, "alone, anything is let in"


async def test_short_calls_go_before_long_ones_but_no_more_of_them_than_a_long_one_is_long(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    order: list[str] = []

    async def ask(name: str, size_bytes: int, fifo: Path | None = None) -> None:
        """Has the process wait, where there is a FIFO, until the test writes to it."""
        await (process.call(size_bytes, Path.read_text, fifo) if fifo else process.call(size_bytes, os.getpid))
        order.append(name)

    async with helper() as process, asyncio.TaskGroup() as group:
        for fifo in (first, second):
            os.mkfifo(fifo)
        group.create_task(ask("busy", 0, first))
        for name, size_bytes in (("long", 100), ("middle", 90)):
            group.create_task(ask(name, size_bytes))
        group.create_task(ask("short", 60, second))
        await asyncio.sleep(0)
        await asyncio.to_thread(first.write_text, "go on")
        writing = await asyncio.to_thread(second.open, "w")  # "short" runs now
        group.create_task(ask("as short, but too late", 60))
        await asyncio.sleep(0)
        writing.close()
    assert order == ["busy", "short", "middle", "long", "as short, but too late"]


async def test_who_gives_up_waiting_leaves_the_others_their_answers() -> None:
    async with helper() as process:
        first = asyncio.create_task(process.call(1, time.sleep, 0.1))
        second = asyncio.create_task(process.call(1, os.getpid))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == process.pid
        assert first.cancelled()


async def test_it_can_be_closed_in_the_middle_of_a_call() -> None:
    async with helper() as process:
        pid = await process.call(0, os.getpid)
        calls = [asyncio.create_task(process.call(0, time.sleep, 600.0)) for _ in range(2)]
        await asyncio.sleep(0)
        await process.close()
        assert [type(error) for error in await asyncio.gather(*calls, return_exceptions=True)] == [UnavailableError] * 2
        assert not is_alive(pid)
        assert process.pid is None


async def test_it_sees_nothing_of_the_gateways_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_ADMIN_TOKEN", "secret")
    async with helper() as process:
        pid = await process.call(0, os.getpid)
        environment = await asyncio.to_thread(Path(f"/proc/{pid}/environ").read_bytes)
    assert b"PYTHONPATH=" in environment
    assert b"secret" not in environment


def test_it_ends_with_the_process_that_has_started_it_in_the_middle_of_a_call(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen([sys.executable, "-c", _CALLS, str(pipe)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        with pipe.open("wb"):  # which waits until it is opened there, too
            assert is_alive(pid)
            parent.kill()
            wait_until(lambda: not is_alive(pid))


def test_its_loop_answers_until_the_other_side_has_gone() -> None:
    requests, answers = io.BytesIO(), io.BytesIO()
    helper_process._send(requests, (int, ("7",), {"base": 8}))
    helper_process._send(requests, (int, ("8",), {"base": 8}))
    requests.seek(0)
    helper_process.serve(requests, answers)
    answers.seek(0)
    assert helper_process._receive(answers) == (True, 7)
    succeeded, error = helper_process._receive(answers)
    assert (succeeded, type(error)) == (False, RuntimeError)
    with pytest.raises(EOFError):
        helper_process._receive(answers)


class Body:
    """Something large."""


async def test_what_waits_and_is_cancelled_is_let_go_at_once() -> None:
    read, write = os.pipe()
    async with helper() as process:
        busy = asyncio.create_task(process.call(0, Path.read_bytes, Path(f"/proc/{os.getpid()}/fd/{read}")))
        try:
            await asyncio.sleep(0)
            body = Body()
            left = weakref.ref(body)
            waiting = asyncio.create_task(process.call(1, repr, body))
            await asyncio.sleep(0)
            del body
            waiting.cancel()
            await asyncio.wait({waiting})
            del waiting
            gc.collect()
            assert left() is None
        finally:
            os.close(write)
        assert await busy == b""
    os.close(read)
