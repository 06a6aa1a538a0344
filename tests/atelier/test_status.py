"""`atelier status` against a gateway of two workers, one of whose versions is broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from atelier.cli import app
from tests.support.bundles import damage, write_bundle
from tests.support.cli import COMMAND
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.stranger import stranger
from tests.support.waiting import wait_until

runner = CliRunner()

ROWS = {"instances": [[[0, 0], [0, 0]]]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("models") / "brightness"
    write_bundle(folder / "1")
    write_bundle(folder / "2")
    damage(write_bundle(folder / "3"))
    (folder / "labels.json").write_text('{"stable": 1, "canary": 2, "next": 3}')
    (folder / "traffic.json").write_text('{"traffic": {"stable": 90, "canary": 10}}')
    with running_gateway(folder.parent, workers=2) as running:
        yield running


def ask(gateway: RunningGateway, *options: str) -> Result:
    return runner.invoke(
        app, ["status", "--url", gateway.rest_url, "--interval-s", "0.05", *options], env={"COLUMNS": "80"}
    )


def test_what_an_operator_needs_fits_into_80_columns(gateway: RunningGateway) -> None:
    result = ask(gateway)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"ready: {gateway.rest_url}, Atelier ")
    shown = [line.split() for line in lines]
    assert "brightness: the label next waits for version 3" in result.stdout
    assert "brightness version 3 could not be loaded: model.onnx has checksum" in result.stdout
    pids = gateway.process.worker_pids
    assert [line[:3] for line in shown if line[1:2] == ["serving"]] == [
        ["1", "serving", str(pids[0])],
        ["2", "serving", str(pids[1])],
    ]
    versions = lines[-3:]
    assert versions[0].split() == ["brightness", "3", "quarantined", "0/2", "–", "–"]
    assert versions[1].split() == ["2", "AVAILABLE", "2/2", "10", "%", "0.0", "canary"]
    assert versions[2].split() == ["1", "AVAILABLE", "2/2", "90", "%", "0.0", "stable"]


def test_in_json_it_is_the_gateways_document_with_rates(gateway: RunningGateway) -> None:
    answered = httpx.post(f"{gateway.rest_url}/v1/models/brightness:predict", json=ROWS, timeout=60.0)
    assert answered.status_code == 200
    document = json.loads(ask(gateway, "--json").stdout)
    assert document["ready"] is True
    assert [worker["pid"] for worker in document["workers"]] == gateway.process.worker_pids
    (model,) = document["models"]
    assert model["requests"]["ok"] >= 1
    assert set(model["between_looks"]) == {"requests_per_s", "failed_per_s", "p50_s", "p99_s", "rows_per_s"}
    assert model["versions"][0]["state"] == "END"
    assert model["versions"][2] | {"rows": 0, "batches": 0} == {
        "version": "1",
        "state": "AVAILABLE",
        "error": "",
        "labels": ["stable"],
        "share": 0.9,
        "is_shadow": False,
        "workers": 2,
        "queue_rows": 0,
        "in_flight": 0,
        "batches": 0,
        "rows": 0,
    }


def test_watching_goes_on_until_ctrl_c(gateway: RunningGateway) -> None:
    command = [*COMMAND, "status", "--url", gateway.rest_url, "--watch", "--json", "--interval-s", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        looks: list[dict[str, Any]] = [json.loads(watching.stdout.readline()) for _ in range(3)]
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=120.0)
    assert looks[0]["uptime_s"] <= looks[1]["uptime_s"] <= looks[2]["uptime_s"]
    assert (watching.returncode, errors) == (0, "")


def test_a_gateway_that_is_not_ready_says_why_and_fails_the_command(tmp_path: Path) -> None:
    damage(write_bundle(tmp_path / "brightness" / "1"))
    with running_gateway(tmp_path) as gateway:
        result = ask(gateway)
    assert result.exit_code == 1
    assert result.stdout.startswith("not ready: ")
    assert "  brightness: version 1: model.onnx has checksum" in result.stdout


def test_a_worker_that_is_down_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.supervision.supervisor.restart_delay_s", lambda *_: 3600.0)
    write_bundle(tmp_path / "brightness" / "1")
    with running_gateway(tmp_path, workers=2) as gateway:
        killed = gateway.process.worker_pids[1]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in gateway.process.worker_pids)
        result = ask(gateway)
    assert result.exit_code == 0
    assert ["2", "restarting", "–", "–", "0", "–", "–", "–"] in [line.split() for line in result.stdout.splitlines()]
    assert result.stdout.splitlines()[-1].split() == ["brightness", "1", "AVAILABLE", "1/2", "100", "%", "0.0"]


def test_what_is_no_gateway_is_said() -> None:
    with stranger(b"{}") as other:
        result = runner.invoke(app, ["status", "--url", other.url])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"atelier: what answers at {other.url}/status is no Atelier gateway")
