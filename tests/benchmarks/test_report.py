from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.load import Load
from benchmarks.machine import describe_machine
from benchmarks.report import Footprint, Report, Round, as_json, rows, starts
from benchmarks.report_picture import draw
from benchmarks.report_text import PACKAGES, as_markdown
from benchmarks.servers import GATEWAY


def a_round(
    server: str, per_second: float, *, case: str = "grpc", in_flight: int = 16, failed: int = 0, images: int = 1
) -> Round:
    load = Load("h2load", 100, failed, per_second, 1000 / per_second, 0.9, 2.0)
    return Round(case, f"case {case}", images, in_flight, server, "gRPC", load, 50.0)


def a_report(*rounds: Round) -> Report:
    machine = {**describe_machine(PACKAGES), "peer mosec": "0.9"}
    footprints = [Footprint("grpc", GATEWAY, 0.5, 150.0, 160.0)]
    return Report("mlp/1", 3, machine, footprints, list(rounds), {"wrk": "not\ninstalled"})


def test_rows_are_medians_of_alternating_rounds_beside_the_gateway() -> None:
    speeds = [
        (GATEWAY, 900.0),
        ("peer", 100.0),
        (GATEWAY, 1000.0),
        ("peer", 200.0),
        (GATEWAY, 5.0),
        ("peer", 300.0),
    ]
    gateway, peer = rows([a_round(server, speed) for server, speed in speeds])
    assert (gateway.server, gateway.per_second, gateway.rounds) == (GATEWAY, 900.0, 3)
    assert (peer.per_second, peer.gateway_ratio) == (200.0, 4.5)
    assert peer.gateway_latency_ratio == pytest.approx(200 / 900)


def test_a_peer_is_compared_with_the_gateway_of_its_own_case_only() -> None:
    found = rows([a_round(GATEWAY, 900.0), a_round("peer", 100.0, case="rest"), a_round(GATEWAY, 50.0, case="rest")])
    assert [row.gateway_ratio for row in found] == [1.0, 0.5, 1.0]


def test_a_peer_measured_without_the_gateway_has_no_ratio() -> None:
    assert rows([a_round("peer", 100.0)])[0].gateway_ratio is None


def test_failed_requests_are_added_up_not_averaged() -> None:
    assert rows([a_round("peer", 1.0, failed=2), a_round("peer", 1.0, failed=3)])[0].failed == 5


def test_starts_are_medians_per_case() -> None:
    seconds = [("cold", 3.0), ("grpc", 9.0), ("cold", 1.0), ("cold", 2.0)]
    cold, grpc = starts([Footprint(case, GATEWAY, s, 100 * s, None) for case, s in seconds])
    assert (cold.case, cold.starts, cold.seconds_to_ready, cold.resident_idle_mb) == ("cold", 3, 2.0, 200.0)
    assert cold.resident_loaded_mb is None
    assert (grpc.case, grpc.starts) == ("grpc", 1)


def test_the_markdown_has_a_table_per_case_and_names_what_is_missing() -> None:
    text = as_markdown(
        a_report(
            a_round(GATEWAY, 1000.0),
            a_round("peer", 100.0),
            a_round(GATEWAY, 500.0, in_flight=1),
            a_round("peer", 250.0, in_flight=1),
            a_round(GATEWAY, 7.0, case="rows", images=32),
        )
    )
    assert "| peer | case grpc | 2.00× (time 0.50×) | 10.00× |" in text
    assert "| 16 | peer | gRPC | h2load | 100 | 10.00 | 0.90 | 2.00 | 50 | 0 | 10.00× |" in text
    assert "## case rows" in text
    assert "| 16 | atelier | gRPC | h2load | 224 |" in text
    assert "mosec 0.9" in text
    assert "Not measured: wrk: not installed" in text


def test_the_json_holds_every_round_and_the_medians() -> None:
    report = json.loads(json.dumps(as_json(a_report(a_round(GATEWAY, 900.0)))))
    assert report["rounds"][0]["load"]["per_second"] == 900.0
    assert report["medians"][0]["server"] == GATEWAY
    assert report["starts"][0]["starts"] == 1


@pytest.mark.parametrize("rounds", [[], [a_round(GATEWAY, 900.0), a_round("peer", 100.0)]])
def test_a_picture_is_drawn_of_whatever_was_compared(rounds: list[Round], tmp_path: Path) -> None:
    draw(rows(rounds), tmp_path / "bench.png")
    with Image.open(tmp_path / "bench.png") as picture:
        assert picture.width > 1000
