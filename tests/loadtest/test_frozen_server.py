"""A real server that freezes for a second in twenty: `make soak`.

The quick form, which no clock decides, is in `test_dispatcher.py`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.support.cli import COMMAND
from tests.support.gateway import RunningGateway
from tests.support.waiting import wait_until

FREEZE_S = 1.0


@pytest.mark.soak
@pytest.mark.parametrize("api", ["grpc-predict", "rest-predict"])
def test_a_second_of_freeze_in_twenty_shows_in_p99(gateway: RunningGateway, tmp_path: Path, api: str) -> None:
    """One request in twenty is due in the freeze; p99 is that of one which waited four fifths of it or more."""
    recording = tmp_path / "recording.jsonl"
    (pid,) = gateway.process.worker_pids
    everyone = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    command = [*COMMAND, "loadtest", "--url", gateway.rest_url, "--model", "digits", "--api", api, "--slo", "p99<500ms"]
    with subprocess.Popen(
        [*command, "--rate", "100", "--duration", "20", "--connections", "200", "--report", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: recording.is_file() and '"index":5' in recording.read_text(encoding="utf-8"), 120.0)
        for one in everyone:
            one.send_signal(signal.SIGSTOP)
        time.sleep(FREEZE_S)
        for one in everyone:
            one.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=120.0)
    assert process.returncode == 1, (out, err)
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    print(json.dumps({name: result[name] for name in ("requests", "latency_ms", "errors", "late_share")}))
    assert result["latency_ms"]["p99"] > 1000 * FREEZE_S * 0.7
    assert result["latency_ms"]["max"] > 1000 * FREEZE_S * 0.9
    assert result["latency_ms"]["p50"] < 1000 * FREEZE_S * 0.5
    assert result["errors"] == {}
