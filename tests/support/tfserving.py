"""Real TensorFlow Serving processes where the binary is on the PATH, else stand-ins for them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from tests.support.files import replace_text
from tests.support.ports import free_ports

BINARY = shutil.which("tensorflow_model_server")
IS_REAL = BINARY is not None
_START_TIMEOUT_S = 120.0
_ROOT = Path(__file__).parents[2]


@dataclass
class TfServing:
    """A server process on a port that stays the same when it is started again."""

    config_file: Path
    port: int = 0
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns once it listens; a stand-in then serves what its folders hold."""
        self.begin()
        self.wait_until_listening()

    def begin(self) -> None:
        """Starts the process, on a port that nobody else is given while it is down."""
        if not self.port:
            (self.port,) = free_ports(1)
        if BINARY is not None:
            self._begin_binary(BINARY)
            return
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.support.tfserving_standin"),
                *("--model-config-file", str(self.config_file), "--port", str(self.port), *self.arguments),
            ],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "ORT_DISABLE_TELEMETRY": "1"},
        )

    def wait_until_listening(self) -> None:
        """Returns once it answers."""
        assert self.process is not None
        if BINARY is not None:
            self._wait_for_binary(self.process)
            return
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the stand-in ended before it listened"
        assert json.loads(line) == {"port": self.port}

    def kill(self) -> None:
        """As the kernel does when memory runs out: nothing is said to anybody."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """Ends it, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def _begin_binary(self, binary: str) -> None:
        self.process = subprocess.Popen(
            [
                binary,
                f"--port={self.port}",
                f"--model_config_file={self.config_file}",
                "--model_config_file_poll_wait_seconds=1",
                "--file_system_poll_wait_seconds=1",
                "--allow_version_labels_for_unavailable_models=true",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def _wait_for_binary(self, process: subprocess.Popen[str]) -> None:
        give_up_at = time.monotonic() + _START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            assert time.monotonic() < give_up_at, "tensorflow_model_server does not listen"
            assert process.poll() is None, "tensorflow_model_server ended"
            time.sleep(0.05)


@contextlib.contextmanager
def running_tfserving(config_file: Path, *arguments: str, count: int = 1) -> Iterator[list[TfServing]]:
    """Starts `count` servers of one configuration; none outlives the block. `arguments` are the stand-in's."""
    servers = [TfServing(config_file, arguments=arguments) for _ in range(count)]
    try:
        for server in servers:
            server.begin()
        for server in servers:
            server.wait_until_listening()
        yield servers
    finally:
        for server in servers:
            server.stop()


def write_models_config(
    path: Path,
    base_paths: Mapping[str, Path],
    *,
    policy: str = "all {}",
    labels: Mapping[str, int] | None = None,
) -> Path:
    """A `models.config` of these models; replaced as a whole, as servers read it any time."""
    lines = ["model_config_list {"]
    for name, base_path in base_paths.items():
        lines += ["  config {", f'    name: "{name}"', f'    base_path: "{base_path}"']
        lines += ['    model_platform: "tensorflow"', f"    model_version_policy {{ {policy} }}"]
        lines += [f'    version_labels {{ key: "{key}" value: {value} }}' for key, value in (labels or {}).items()]
        lines.append("  }")
    replace_text(path, "\n".join([*lines, "}"]) + "\n")
    return path


def statuses(address: str, model: str) -> dict[int, int]:
    """What the server itself says of its versions."""
    with grpc.insecure_channel(address) as channel:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        answer = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=60.0)
    return {entry.version: entry.state for entry in answer.model_version_status}
