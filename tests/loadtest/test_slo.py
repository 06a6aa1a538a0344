"""Objectives with units, and verdicts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from loadtest.errors import UsageError
from loadtest.slo import judge, milliseconds, parse_slo


@dataclass
class Figures:
    mean_ms: float = 10.0
    max_ms: float = 900.0
    error_share: float = 0.0005
    accuracy: float = 0.91
    answered_per_s: float = 495.0

    def percentile_ms(self, percentile: float) -> float:
        return percentile


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("p99<50ms", 50),
        ("p99.9 <= 0.2 s", 200),
        ("P50<800us", 0.8),
        ("p50<800µs", 0.8),
        ("mean<1.5ms", 1.5),
        ("max<2s", 2000),
        ("errors<0.1%", 0.001),
        ("accuracy>90%", 0.9),
        ("rate>=480/s", 480),
        ("rate>480rps", 480),
    ],
)
def test_units_are_understood(text: str, bound: float) -> None:
    (condition,) = parse_slo(text)
    assert condition.bound == pytest.approx(bound)
    assert condition.text == text.strip()


def test_each_condition_is_judged_for_itself() -> None:
    judged = judge(parse_slo("p99<50ms, p40<50ms,errors<0.1%,accuracy>95%,rate>480/s,max<=900ms"), Figures())
    assert [one.met for one in judged] == [False, True, True, False, True, True]
    assert [one.text for one in judged][:3] == ["p99<50ms: 99 ms", "p40<50ms: 40 ms", "errors<0.1%: 0.05 %"]


def test_no_objective_has_no_conditions() -> None:
    assert parse_slo("") == ()


def test_a_figure_that_there_is_none_of_meets_nothing() -> None:
    (judged,) = judge(parse_slo("accuracy>0%"), Figures(accuracy=math.nan))
    assert not judged.met
    assert judged.text == "accuracy>0%: no labelled image"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("fast", "expected conditions such as p99<50ms,errors<0.1%, received 'fast'"),
        ("p99<50ms,", "received ''"),
        ("p99<50", "expected the unit us or µs or ms or s, received 'none'"),
        ("p99<50%", "expected the unit us or µs or ms or s, received '%'"),
        ("errors<1ms", "expected the unit %, received 'ms'"),
        ("speed<1ms", "expected one of p50 … p99.9, mean, max, errors, accuracy, rate, received 'speed'"),
        ("p100<1ms", "expected a percentile between 0 and 100, received 'p100'"),
        ("p99>50ms", "expected < for p99"),
        ("rate<480/s", "expected > for rate"),
        ("p99<1.2.3ms", "expected a number, received '1.2.3'"),
    ],
)
def test_what_is_no_objective_is_named(text: str, wrong: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_slo(text)
    assert wrong in str(raised.value)


def test_latencies_are_written_in_three_digits() -> None:
    assert [milliseconds(value) for value in (0.4123, 12.34, 345.6, 2345.6, math.nan)] == [
        "0.412 ms",
        "12.3 ms",
        "346 ms",
        "2.35 s",
        "–",
    ]
