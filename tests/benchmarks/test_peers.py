"""Peers: what they need is there, the fastest setting is found, and what goes wrong is reported."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from benchmarks.calls import oip_grpc
from benchmarks.load import Load
from benchmarks.measure import Plan
from benchmarks.model import Model
from benchmarks.peers import comparison, running
from benchmarks.peers.comparison import measure_peer
from benchmarks.peers.registry import PEERS, Peer, Setting
from benchmarks.peers.running import REQUIREMENTS, fastest
from benchmarks.processes import StartError
from benchmarks.random_models import write_random_mlp
from benchmarks.report import Report
from benchmarks.servers import Entrant, Opening

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


def openings(speeds: dict[Setting, Load]) -> dict[Setting, Opening]:
    """Of all settings; those without a load do not start."""

    @contextlib.contextmanager
    def opened(setting: Setting, _model: Model) -> Iterator[Entrant]:
        if setting not in speeds:
            raise StartError("no such setting")
        yield Entrant("gRPC", lambda: None, lambda *_: speeds[setting])

    return {setting: partial(opened, setting) for setting in SETTINGS}


def a_load(per_second: float, failed: int = 0) -> Load:
    return Load("h2load", 100, failed, per_second, 1.0, 1.0, 1.0)


def test_the_setting_that_answers_most_well_is_taken() -> None:
    speeds = {(): a_load(100), SETTINGS[1]: a_load(200), SETTINGS[2]: a_load(1000, failed=90)}
    assert fastest("Peer", openings(speeds), Model(Path(), "m", 1), 16) == SETTINGS[1]


def test_a_setting_that_does_not_start_is_left_out() -> None:
    assert fastest("Peer", openings({SETTINGS[2]: a_load(10)}), Model(Path(), "m", 1), 16) == SETTINGS[2]
    with pytest.raises(StartError, match="no such setting"):
        fastest("Peer", openings({}), Model(Path(), "m", 1), 16)


@pytest.mark.skipif(shutil.which("h2load") is None, reason="needs h2load (Debian: nghttp2-client)")
def test_the_gateway_is_tried_with_two_workers_over_several_connections_where_several_are_in_flight(
    tmp_path: Path,
) -> None:
    model = write_random_mlp(tmp_path)
    assert list(comparison._gateways(1)) == [()]
    one, two = comparison._gateways(16).values()
    with one(model) as alone, two(model) as together:
        assert (alone.by, together.by) == ("gRPC", "gRPC, workers 2")
        for entrant in (alone, together):
            load = entrant.load(16, 1)
            assert load.failed == 0


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
