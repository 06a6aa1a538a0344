"""Peers: what they need is there, the fastest setting is found, and what goes wrong is reported."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.calls import oip_grpc
from benchmarks.load import Load
from benchmarks.measure import Plan
from benchmarks.model import Model
from benchmarks.peers import comparison, running
from benchmarks.peers.comparison import measure_peer
from benchmarks.peers.registry import PEERS, Peer
from benchmarks.peers.running import REQUIREMENTS, fastest
from benchmarks.processes import StartError
from benchmarks.random_models import write_random_mlp
from benchmarks.report import Report
from benchmarks.servers import Entrant

ROOT = Path(__file__).parents[2]
PLAN = Plan(in_flight=[4], rounds=1, seconds=1, warm_up_seconds=0, cold_starts=1)
SETTINGS = ((), ("--batch", "8"), ("--batch", "64"))


def runtime_version(requirements: Path) -> str:
    (version,) = re.findall(r"^onnxruntime==(\S+)", requirements.read_text(), re.MULTILINE)
    return str(version)


def test_every_peer_has_a_server_and_locked_requirements_with_the_gateways_onnx_runtime() -> None:
    servers = {path.stem for path in (REQUIREMENTS.parent / "servers").glob("*.py")} - {"__init__", "options"}
    assert servers == set(PEERS)
    for name, peer in PEERS.items():
        locked = REQUIREMENTS / f"{name}.txt"
        assert f"\n{peer.package}==" in re.sub(r"\[\S+\]==", "==", locked.read_text()).replace("[serve]", "")
        assert "--hash=sha256:" in locked.read_text()
        assert runtime_version(locked) == runtime_version(ROOT / "requirements" / "dev.txt")


def trials(monkeypatch: pytest.MonkeyPatch, speeds: dict[tuple[str, ...], Load]) -> None:
    @contextlib.contextmanager
    def opened(_peer: Peer, setting: tuple[str, ...], _model: Model) -> Iterator[Entrant]:
        if setting not in speeds:
            raise StartError("no such setting")
        yield Entrant("gRPC", lambda: None, lambda *_: speeds[setting])

    monkeypatch.setattr(running, "opened", opened)


def a_load(per_second: float, failed: int = 0) -> Load:
    return Load("h2load", 100, failed, per_second, 1.0, 1.0, 1.0)


def test_the_setting_that_answers_most_well_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    trials(monkeypatch, {(): a_load(100), SETTINGS[1]: a_load(200), SETTINGS[2]: a_load(1000, failed=90)})
    assert fastest(Peer("peer", "Peer", "peer", oip_grpc, SETTINGS), Model(Path(), "m", 1), 16) == SETTINGS[1]


def test_a_setting_that_does_not_start_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    trials(monkeypatch, {SETTINGS[2]: a_load(10)})
    assert fastest(Peer("peer", "Peer", "peer", oip_grpc, SETTINGS), Model(Path(), "m", 1), 16) == SETTINGS[2]
    trials(monkeypatch, {})
    with pytest.raises(StartError, match="no such setting"):
        fastest(Peer("peer", "Peer", "peer", oip_grpc, SETTINGS), Model(Path(), "m", 1), 16)


def test_a_peer_that_cannot_be_installed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "ENVIRONMENTS", tmp_path)
    report = Report("mlp/1", 1, {})
    measure_peer(report, Peer("nobody", "Nobody", "nobody", oip_grpc), write_random_mlp(tmp_path / "models"), PLAN)
    assert list(report.missing) == ["Nobody"]
    assert "cannot be installed" in report.missing["Nobody"]
    assert report.rounds == []


def test_a_peer_that_does_not_start_is_reported_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(comparison, "install", lambda _: None)
    monkeypatch.setattr(comparison, "version", lambda _: "1.0")
    python = tmp_path / "nobody" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho 'no GPU here' >&2\nexit 3\n")
    python.chmod(0o755)
    report = Report("mlp/1", 1, {})

    measure_peer(report, Peer("nobody", "Nobody", "nobody", oip_grpc), write_random_mlp(tmp_path / "models"), PLAN)

    assert report.machine == {"peer nobody": "1.0"}
    (reason,) = report.missing.values()
    assert "ended with code 3: no GPU here" in reason
