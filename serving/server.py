"""Starts the gateway, keeps it, and stops it without cutting a request off.

The gateway itself is one or more child processes, the workers (serving/worker_main.py). This process holds their
ports, watches them (serving/supervision/, on an event loop in a thread) and waits for a signal.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, Self, TypeVar

from serving.admin_access import AdminTokenError, read_admin_token
from serving.errors import InvalidInputError
from serving.repository.configuration import Configuration
from serving.repository.model_cache import ModelCache
from serving.settings import ServingSettings
from serving.supervision.ports import hold, number_of
from serving.supervision.supervisor import Supervisor
from serving.supervision.worker_process import WorkerEndedError
from serving.tls_files import TlsFilesError

_Result = TypeVar("_Result")


class StartError(Exception):
    """The gateway cannot start; the text says why, in one sentence."""


class ConfigurationError(StartError):
    """What shall be served is not said so that it can be."""


class ModelsFolderError(ConfigurationError):
    """There is no such folder of models."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a started gateway listens."""

    host: str
    grpc_port: int
    rest_port: int
    scheme: Literal["http", "https"]


class Gateway:
    """A started gateway; see `start`."""

    def __init__(self, supervisor: Supervisor, loop: _LoopThread, addresses: Addresses) -> None:
        self._supervisor = supervisor
        self._loop = loop
        self.addresses = addresses

    @property
    def worker_pids(self) -> list[int]:
        """The processes that answer requests now."""
        return self._supervisor.pids

    def wait(self) -> NoReturn:
        """Blocks until an interrupt."""
        while True:
            threading.Event().wait()

    def drain_and_stop(self) -> None:
        """Sends clients elsewhere, says "not ready", closes the ports, waits for requests in flight, then ends."""
        self._loop.run(self._supervisor.drain())

    def kill(self) -> None:
        """Ends the workers now."""
        self._loop.run(self._supervisor.kill())


@contextlib.contextmanager
def start(settings: ServingSettings) -> Iterator[Gateway]:
    """Starts a gateway and waits until all its workers listen; when the block ends, drains and stops them.

    An interrupt (Ctrl-C; see `stop_signals`) ends the block, wherever it is, and no more. A second one, while requests
    are drained, cuts them off and goes on to the caller. Any other exception cuts them off as well.

    Raises:
        ConfigurationError: what names the models is missing or broken, or a setting asks for what is not there.
        StartError: a port may not be had, or a worker ended.
    """
    with contextlib.ExitStack() as stack:
        folder = _share(stack)
        _check(settings, folder)
        host = _resolve(settings.host)
        holders = [stack.enter_context(_hold(host, port)) for port in (settings.grpc_port, settings.rest_port)]
        grpc_port, rest_port = map(number_of, holders)
        loop = stack.enter_context(_LoopThread())
        held = {"host": host, "grpc_port": grpc_port, "rest_port": rest_port}
        supervisor = Supervisor(settings.model_copy(update=held), folder)
        scheme: Literal["http", "https"] = "http" if settings.tls is None else "https"
        gateway = Gateway(supervisor, loop, Addresses(settings.host, grpc_port, rest_port, scheme))
        try:
            loop.run(supervisor.start())
            with contextlib.suppress(KeyboardInterrupt):
                yield gateway
            gateway.drain_and_stop()
        except WorkerEndedError as error:
            raise StartError(f"{error}; its messages are above") from error
        finally:
            gateway.kill()


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Has SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does, so that all of them end alike.

    Around `start` as well: a signal while models load, or a second one while requests are drained, cleans up too.
    """
    heeded = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, _raise_interrupt) for number in heeded}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _raise_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class _LoopThread:
    """An event loop in a thread, so that workers are watched whatever the main thread does."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(_end_everything())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Runs it there and waits for the result; an interrupt cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


async def _end_everything() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()


def _check(settings: ServingSettings, shared: Path) -> None:
    if settings.model_config_file is not None and "models" in settings.model_fields_set:
        raise ConfigurationError("expected either models or model_config_file, received both")
    try:
        Configuration.of(settings, shared, ModelCache.at(settings.model_cache_dir)).check()
    except InvalidInputError as error:
        raise ConfigurationError(str(error)) from error
    except OSError as error:
        raise ModelsFolderError(f"models folder: expected an existing folder, received {settings.models}") from error
    try:
        if settings.tls is not None:
            settings.tls.load()
    except TlsFilesError as error:
        raise ConfigurationError(str(error)) from error
    try:
        read_admin_token(settings)
    except AdminTokenError as error:
        raise StartError(str(error)) from error


def _share(stack: contextlib.ExitStack) -> Path:
    """A folder for all workers, gone with the gateway."""
    try:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atelier-")))
    except OSError as error:
        raise StartError(
            f"temporary files: expected a folder that can be written to, named by TMPDIR or /tmp: {error.strerror}"
        ) from error


def _resolve(host: str) -> str:
    """A name may have several addresses; all workers take the first."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise StartError(
            f"host: expected an address or a name of this machine, received {host!r}: {error.strerror}"
        ) from error


def _hold(host: str, port: int) -> socket.socket:
    try:
        return hold(host, port)
    except OSError as error:
        raise StartError(f"cannot listen on {host} port {port}: {error.strerror}") from error
