"""Who wakes in a worker waits little for who runs there."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from pathlib import Path

import psutil
import pytest

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway

SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
SHORT_NS = 400_000


def turn_ns(thread: int) -> int:
    """Of sched_getattr(2): how long the thread runs before it is another's turn; 0 where the kernel does not say."""
    if platform.machine() not in SCHED_GETATTR:
        return 0
    attributes = ctypes.create_string_buffer(48)
    ctypes.CDLL(None).syscall(SCHED_GETATTR[platform.machine()], thread, attributes, len(attributes), 0)
    return int(struct.unpack_from("=Q", attributes, 24)[0])


def turns_of(pid: int) -> set[int]:
    return {turn_ns(int(thread.name)) for thread in Path(f"/proc/{pid}/task").glob("*")}


def ask_for_a_helper(gateway: RunningGateway) -> None:
    rows = [[[10, 20], [30, 40]]] * 20_000
    assert gateway.rest.post("/v1/models/brightness:predict", json={"instances": rows}).status_code == 400


def test_a_worker_has_short_turns_and_the_process_beside_it_the_usual_ones(tmp_path: Path) -> None:
    usual = turn_ns(os.getpid())
    if not usual:
        pytest.skip("this kernel does not say how long a turn is (Linux 6.12 and later do)")
    write_bundle(tmp_path / "brightness" / "1")
    with running_gateway(tmp_path) as gateway:
        ask_for_a_helper(gateway)
        (worker,) = gateway.process.worker_pids
        assert turns_of(worker) == {SHORT_NS}
        (helper,) = (child.pid for child in psutil.Process(worker).children())
        assert turns_of(helper) == {usual}
