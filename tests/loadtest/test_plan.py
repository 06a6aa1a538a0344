"""The plan: what is refused, and that it survives the way through options."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest

from loadtest.errors import UsageError
from loadtest.options import add_plan_options, plan_of_options
from loadtest.plan import LoadPlan, plan_of


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"rate": 0}, "--rate: input should be greater than 0, received 0"),
        ({"rate": 1e9}, "--rate: input should be less than or equal to 200000, received 1000000000.0"),
        ({"rate": "nan"}, "--rate: "),
        ({"rate": "fast"}, "--rate: input should be a valid number"),
        ({"duration_s": -1}, "--duration: input should be greater than 0, received -1"),
        ({"rows": 0}, "--rows: "),
        ({"url": "localhost:8501"}, "--url: expected http://HOST:PORT or https://HOST:PORT"),
        ({"url": "http://host:99999"}, "--url: "),
        ({"grpc_address": "8500"}, "--grpc-address: expected HOST:PORT, received '8500'"),
        ({"api": "soap"}, "--api: expected APIs of grpc-predict, "),
        ({"api": "rest-predict=0"}, "--api: expected a positive weight for rest-predict"),
        ({"api": "rest-predict,rest-predict"}, "--api: expected APIs of "),
        ({"shape": "zigzag"}, "--shape: input should be 'constant', "),
        ({"shape": "replay"}, "--trace: expected with the shape replay, and only there"),
        ({"trace": "t.csv"}, "--trace: expected with the shape replay, and only there"),
        ({"shape": "spike", "spike_for_s": 60}, "--spike-for: expected less than the duration of 60 s"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(options: dict[str, Any], wrong: str) -> None:
    with pytest.raises(UsageError) as raised:
        plan_of(options)
    assert str(raised.value).startswith(wrong)


def test_a_plan_survives_the_way_through_locusts_options(tmp_path: Path) -> None:
    plan = plan_of(
        {
            "url": "https://host:1/",
            "grpc_address": "other:2",
            "ca_file": tmp_path / "ca.pem",
            "api": "grpc-predict=3,rest-image=1",
            "shape": "spike",
            "spike_rate": 70,
            "duration_s": 7.5,
            "warm_up_s": 0,
        }
    )
    parser = ArgumentParser()
    add_plan_options(parser)
    parser.add_argument("--host")
    options = parser.parse_args(plan.options())
    assert plan_of_options(options.host, options) == plan
    assert plan_of_options(None, parser.parse_args([])) == LoadPlan()


def test_the_mix_is_in_shares_of_one() -> None:
    assert plan_of({"api": "grpc-predict=8, rest-image=2"}).mix == {"grpc-predict": 0.8, "rest-image": 0.2}
    assert plan_of({"api": "rest-oip"}).mix == {"rest-oip": 1.0}


def test_grpc_goes_to_the_urls_port_if_nothing_else_is_said() -> None:
    assert plan_of({"url": "http://host:8501"}).grpc_target == "host:8501"
    assert plan_of({"url": "https://host"}).grpc_target == "host:443"
    assert plan_of({"grpc_address": "host:8500"}).grpc_target == "host:8500"


def test_the_warm_up_comes_before_second_zero_at_the_first_rate() -> None:
    times = list(plan_of({"shape": "steps", "from_rate": 10, "rate": 100, "warm_up_s": 2, "spacing": "even"}).times())
    assert times == sorted(times)
    assert sum(time < 0 for time in times) == 20
    assert min(times) >= -2


def test_a_long_test_has_no_more_windows_than_a_picture_can_show() -> None:
    assert plan_of({"duration_s": 60}).window_s == 1
    assert plan_of({"duration_s": 8 * 3600}).window_s == 48


def test_a_trace_is_replayed_as_long_as_the_duration_goes(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("0\n1\n2\n3\n", encoding="utf-8")
    plan = plan_of({"shape": "replay", "trace": trace, "duration_s": 2.5, "warm_up_s": 0})
    assert list(plan.times()) == [0, 1, 2]
