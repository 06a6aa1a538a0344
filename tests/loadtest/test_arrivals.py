"""Arrival times: of a rate, shared out, and from traces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loadtest import rates
from loadtest.arrivals import arrivals, read_trace, share
from loadtest.errors import UsageError


def test_even_arrivals_are_as_many_as_the_rate_says_one_gap_apart() -> None:
    times = np.array(list(arrivals(rates.constant(50, 200), "even", seed=0)))
    assert len(times) == 10_000
    np.testing.assert_allclose(np.diff(times), 0.02)
    assert times[0] == pytest.approx(0.01)


def test_poisson_arrivals_have_exponential_gaps_and_depend_on_the_seed_alone() -> None:
    times = np.array(list(arrivals(rates.constant(50, 200), "poisson", seed=1)))
    assert len(times) == pytest.approx(10_000, abs=500)
    gaps = np.diff(times)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)  # of an exponential distribution they are equal
    assert times.tolist() == list(arrivals(rates.constant(50, 200), "poisson", seed=1))
    assert times.tolist() != list(arrivals(rates.constant(50, 200), "poisson", seed=2))[: len(times)]


@pytest.mark.parametrize("spacing", ["poisson", "even"])
def test_arrivals_follow_a_changing_rate_and_begin_where_they_are_told(spacing: str) -> None:
    times = np.array(list(arrivals(rates.steps(100, 900, 2, 20), spacing, seed=3, begin_s=-5)))  # type: ignore[arg-type]
    assert (np.diff(times) >= 0).all()
    assert times.min() >= -5
    assert times.max() < 15
    assert (times < 5).sum() == pytest.approx(1000, abs=150)
    assert (times >= 5).sum() == pytest.approx(9000, abs=400)


def test_the_shares_of_all_workers_are_the_whole_schedule() -> None:
    whole = list(arrivals(rates.constant(30, 10), "poisson", seed=0))
    parts = [list(share(arrivals(rates.constant(30, 10), "poisson", seed=0), index, 3)) for index in range(3)]
    assert sorted(time for part in parts for time in part) == whole
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_trace_begins_at_zero_in_order_and_may_have_a_header_and_more_columns(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("time,path\n1000.5,/a\n1000.0,/b\n\n1002.0,/c\n", encoding="utf-8")
    np.testing.assert_allclose(read_trace(trace), [0, 0.5, 2])
    np.testing.assert_allclose(read_trace(trace, speed=2), [0, 0.25, 1])


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "expected a first column of arrival times in seconds, received no rows"),
        (b"time\n", "received no rows"),
        (b"1\n2\nsoon\n", "row 3: expected a time in seconds, received 'soon'"),
        (b"1\nnan\n", "row 2: expected a time in seconds, received 'nan'"),
        (b"1\n\xff\n", "cannot be read: "),
    ],
)
def test_a_broken_trace_is_named(tmp_path: Path, content: bytes, wrong: str) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_bytes(content)
    with pytest.raises(UsageError, match=r"^trace .*trace\.csv") as raised:
        read_trace(trace)
    assert wrong in str(raised.value)


def test_a_trace_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing.csv cannot be read: No such file"):
        read_trace(tmp_path / "missing.csv")
