from __future__ import annotations

import json

from benchmarks.load import Load
from benchmarks.machine import describe_machine
from benchmarks.report import PACKAGES, Footprint, Report, Round, as_json, as_markdown, rows
from benchmarks.servers import GATEWAY


def a_round(server: str, per_second: float, *, protocol: str = "grpc", failed: int = 0) -> Round:
    return Round(protocol, 16, server, Load("h2load", 100, failed, per_second, 1.0, 0.9, 2.0), 50.0)


def a_report(*rounds: Round) -> Report:
    footprints = [Footprint(GATEWAY, 0.5, 150.0, 160.0)]
    return Report("mlp/1", 3, describe_machine(PACKAGES), footprints, list(rounds), {"wrk": "not installed"})


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


def test_a_peer_measured_without_the_gateway_has_no_ratio() -> None:
    assert rows([a_round("peer", 100.0)])[0].gateway_ratio is None


def test_failed_requests_are_added_up_not_averaged() -> None:
    assert rows([a_round("peer", 1.0, failed=2), a_round("peer", 1.0, failed=3)])[0].failed == 5


def test_the_markdown_has_a_table_per_protocol_and_names_what_is_missing() -> None:
    text = as_markdown(
        a_report(a_round(GATEWAY, 900.0), a_round("peer", 100.0), a_round(GATEWAY, 7.0, protocol="rest"))
    )
    assert "| 16 | peer | 100 | 1.00 | 0.90 | 2.00 | 50 | 0 | 9.00× |" in text
    assert "## REST" in text
    assert "Not measured: wrk: not installed" in text


def test_the_json_holds_every_round_and_the_medians() -> None:
    report = json.loads(json.dumps(as_json(a_report(a_round(GATEWAY, 900.0)))))
    assert report["rounds"][0]["load"]["per_second"] == 900.0
    assert report["medians"][0]["server"] == GATEWAY
