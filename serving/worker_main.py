"""What a worker's process runs: an event loop, and on it the worker, until it is told to end."""

from __future__ import annotations

import asyncio
import signal

import uvloop

from serving.garbage_collector import calm_down, uncollected


async def run() -> None:
    """Until SIGTERM, which ends the process at once as long as no connection is taken."""
    with uncollected():
        from serving.worker import begin
    worker = await begin()
    calm_down()
    told_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    await told_to_end.wait()
    await worker.stop()


if __name__ == "__main__":
    uvloop.run(run())
