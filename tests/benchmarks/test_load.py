from __future__ import annotations

import pytest

from benchmarks.load import LoadError, read_h2load, read_wrk

H2LOAD = """\
finished in 1.00s, 1625.00 req/s, 36.54KB/s
requests: 1625 total, 1627 started, 1625 done, 1620 succeeded, 4 failed, 1 errored, 0 timeout
status codes: 1620 2xx, 0 3xx, 5 4xx, 0 5xx
"""

WRK = """\
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.28ms    1.49ms  11.54ms   86.61%
    Req/Sec     1.98k   505.96     2.70k    60.00%
  Latency Distribution
     50%  689.00us
     75%    1.10ms
     90%    3.39ms
     99%    7.48ms
  1973 requests in 1.00s, 383.42KB read
"""


def test_h2load_percentiles_come_from_its_log() -> None:
    load = read_h2load(H2LOAD, list(range(1000, 101_000, 1000)))
    assert (load.requests, load.failed, load.per_second) == (1625, 5, 1625.0)
    assert (load.mean_ms, load.p50_ms, load.p99_ms) == (50.5, 51.0, 100.0)


def test_h2load_without_any_answer_is_an_error_that_shows_its_output() -> None:
    with pytest.raises(LoadError, match="0 done"):
        read_h2load("requests: 0 total, 64 started, 0 done", [])


def test_wrk_units_become_milliseconds() -> None:
    load = read_wrk(WRK + "Requests/sec:   1971.44\n")
    assert (load.requests, load.failed, load.per_second) == (1973, 0, 1971.44)
    assert (load.mean_ms, load.p50_ms, load.p99_ms) == (1.28, pytest.approx(0.689), 7.48)


def test_wrk_counts_refused_and_broken_requests_as_failed() -> None:
    trouble = "  Socket errors: connect 1, read 2, write 0, timeout 4\n  Non-2xx or 3xx responses: 10\n"
    assert read_wrk(WRK + trouble + "Requests/sec:   1971.44\n").failed == 17
