"""docs/operations.md quotes log lines that a gateway writes, word for word but for numbers."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.support.bundles import damage, write_bundle
from tests.support.cli import atelier_serve
from tests.support.fatal_version import fatal_version
from tests.support.waiting import wait_until

GUIDE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
ROWS = {"instances": [[[0, 0], [0, 0]]]}


def shape(line: str) -> str:
    """The line without what differs from run to run."""
    return re.sub(r"[0-9a-f]{12}…|[0-9][0-9:,.-]*", "#", line)


def status(url: str) -> dict[str, Any]:
    """`/status` on a new connection; empty where that met the worker that was killed."""
    try:
        return dict(httpx.get(f"{url}/status", timeout=60.0).json())
    except httpx.TransportError:
        return {}


def has_come_back(url: str, number: int) -> bool:
    """Whether that worker was started again, and all of them take connections."""
    workers = status(url).get("workers", ())
    return {worker["state"] for worker in workers} == {"serving"} and workers[number - 1]["restarts"] > 0


def restarts(url: str) -> int:
    """How often workers were started again, as soon as all of them take connections."""
    workers = status(url).get("workers", ())
    return sum(worker["restarts"] for worker in workers) if {each["state"] for each in workers} == {"serving"} else 0


def queued_rows(url: str) -> int:
    return sum(version.get("queue_rows", 0) for model in status(url).get("models", ()) for version in model["versions"])


def test_every_quoted_log_line_is_written_by_a_gateway(tmp_path: Path) -> None:
    quoted = re.findall(r"^\d{4}-\d\d-\d\d .*|^stopping: .*", GUIDE, re.MULTILINE)
    assert len(quoted) >= 7
    for version in (1, 2):
        write_bundle(tmp_path / "brightness" / str(version))
    damage(write_bundle(tmp_path / "brightness" / "3"))
    (tmp_path / "brightness" / "labels.json").write_text('{"stable": 1, "canary": 2}')
    flags = ("--workers", "2", "--hang-timeout-s", "5", "--batch-timeout-ms", "60000")
    flags += ("--drain-grace-s", "0.1", "--drain-timeout-s", "1")
    with (
        atelier_serve(tmp_path, *flags) as serving,
        ThreadPoolExecutor(1) as clients,
    ):
        os.kill(serving.worker_pids[0], signal.SIGKILL)
        wait_until(lambda: has_come_back(serving.rest_url, 1))
        os.kill(serving.worker_pids[1], signal.SIGSTOP)
        wait_until(lambda: has_come_back(serving.rest_url, 2))
        with fatal_version(tmp_path / "brightness" / "4") as killed:
            killed.result(timeout=120.0)
        wait_until(lambda: restarts(serving.rest_url) == 3)
        predict = f"{serving.rest_url}/v1/models/brightness:predict"
        cut_off = clients.submit(httpx.post, predict, json=ROWS, timeout=60.0)
        wait_until(lambda: queued_rows(serving.rest_url) == 1)
        serving.process.send_signal(signal.SIGTERM)
        _, errors = serving.process.communicate(timeout=120.0)
        assert isinstance(cut_off.exception(), httpx.TransportError)
    written = {shape(line) for line in errors.splitlines()}
    for line in quoted:
        assert shape(line) in written, line
