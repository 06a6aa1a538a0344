"""One worker as the supervisor sees it: a process that runs serving/worker_main.py."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import Self

from serving.child_python import command, environment
from serving.control import messages
from serving.control.channel import Channel
from serving.control.handover import (
    CONTROL_VARIABLE,
    NUMBER_VARIABLE,
    SETTINGS_VARIABLE,
    SHARED_FOLDER_VARIABLE,
)
from serving.control.messages import Traffic
from serving.settings import ServingSettings

_LOOK_EVERY_S = 0.01
_TERMINATE_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 1.0


class WorkerEndedError(Exception):
    """A worker's process ended before it took connections; the text says how."""


class WorkerProcess:
    """A process that was started; see `start`."""

    def __init__(self, number: int, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.number = number
        self.channel = channel
        self._process = process
        self._listening_since: float | None = None
        self._ended_at: float | None = None
        self._traffic: asyncio.Future[Traffic] | None = None

    @classmethod
    async def start(cls, number: int, settings: ServingSettings, shared: Path) -> Self:
        """Starts worker `number`; `shared` is the folder of all workers."""
        ours, theirs = socket.socketpair()
        with theirs:
            channel = await Channel.open(ours)
            try:
                process = await asyncio.create_subprocess_exec(
                    *command("serving.worker_main"),
                    env={**os.environ, **environment(), **_handed_over(number, settings, theirs, shared)},
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C in a terminal is for the supervisor, which drains
                )
            except OSError:
                channel.close()
                raise
        return cls(number, process, channel)

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.returncode is None

    @property
    def is_listening(self) -> bool:
        """Whether it takes connections."""
        return self.is_running and self._listening_since is not None

    @property
    def served_s(self) -> float:
        """For how long it has taken connections, or had when it ended."""
        if self._listening_since is None:
            return 0.0
        return (self._ended_at or time.monotonic()) - self._listening_since

    def take_first_report(self) -> None:
        """It has loaded its models and takes connections."""
        self._listening_since = time.monotonic()

    async def ended(self) -> str:
        """Waits for the process' end; says how it ended."""
        status = await self._process.wait()
        self._ended_at = self._ended_at or time.monotonic()
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended by itself with status {status}"

    def stop_taking(self) -> None:
        """Has it close the ports; what is in flight goes on."""
        self.channel.send(messages.STOP_TAKING)

    async def drained(self, quiet_s: float) -> None:
        """Returns once no connection is open, or nothing was in flight or came for `quiet_s` seconds.

        A client that connected just before the ports were closed may be about to send; others keep idle connections.
        A process that does not answer is busy, and is asked again for as long as it runs.
        """
        quiet_since, requests = time.monotonic(), -1
        while self.is_running:
            traffic = await self._ask_traffic()
            if traffic is not None and not traffic.connections:
                return
            if traffic is None or traffic.in_flight or traffic.requests != requests:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= quiet_s:
                return
            requests = -1 if traffic is None else traffic.requests
            await asyncio.sleep(_LOOK_EVERY_S)

    def take_traffic(self, traffic: Traffic) -> None:
        """The process has said what goes on."""
        if self._traffic is not None and not self._traffic.done():
            self._traffic.set_result(traffic)

    async def _ask_traffic(self) -> Traffic | None:
        """What goes on over all connections; None where the process does not answer."""
        self._traffic = asyncio.get_running_loop().create_future()
        self.channel.send(messages.TRAFFIC)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await self._traffic
        return None

    def kill_hung(self) -> None:
        """Ends a process that does not heed any signal; `ended` tells when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def kill(self) -> None:
        """Ends the process now."""
        self.channel.close()
        for end in (self._process.terminate, self._process.kill):
            with contextlib.suppress(ProcessLookupError):
                end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TERMINATE_TIMEOUT_S):
                    await self._process.wait()
                    return


def _handed_over(number: int, settings: ServingSettings, control: socket.socket, shared: Path) -> dict[str, str]:
    return {
        SHARED_FOLDER_VARIABLE: str(shared),
        SETTINGS_VARIABLE: settings.model_dump_json(),
        CONTROL_VARIABLE: str(control.fileno()),
        NUMBER_VARIABLE: str(number),
        "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime looks at it once, when it is imported
    }
