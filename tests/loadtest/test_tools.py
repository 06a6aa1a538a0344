"""What h2load and wrk say, read as a recording."""

from __future__ import annotations

import pytest

from loadtest.errors import LoadTestError, UsageError
from loadtest.plan import plan_of
from loadtest.tools.h2load import h2load_windows, read_h2load_log
from loadtest.tools.run import run_tool
from loadtest.tools.wrk import read_wrk

PLAN = plan_of({"rate": 10, "duration_s": 2, "warm_up_s": 1, "api": "rest-predict"})


def log(rows: list[tuple[int, int, int]]) -> str:
    return "".join(f"{start}\t{status}\t{duration}\n" for start, status, duration in rows)


def test_requests_are_put_where_they_were_due_and_the_log_may_be_in_any_order_and_cut() -> None:
    begin = 1_700_000_000_000_000
    rows = [(begin + 100_000 * number, 200, 5_000) for number in range(30)]
    windows = h2load_windows(read_h2load_log(log(rows[::-1]) + "17000"), PLAN, connections=1, limit=1000)
    assert [(one.index, one.due, one.right_answers, one.late) for one in windows] == [
        (-1, 10, 10, 0),
        (0, 10, 10, 0),
        (1, 10, 10, 0),
    ]
    assert windows[1].latencies.get_max_value() == pytest.approx(5_000, rel=0.001)


def test_a_request_that_had_to_wait_for_a_free_stream_counts_from_when_it_was_due() -> None:
    """One connection with one stream: the second request waits until the first, which takes a second, is answered."""
    begin = 1_700_000_000_000_000
    rows = [(begin, 200, 1_000_000), (begin + 1_000_000, 200, 5_000)]
    windows = h2load_windows(read_h2load_log(log(rows)), PLAN, connections=1, limit=1)
    assert windows[0].latencies.get_max_value() == pytest.approx(1_000_000, rel=0.001)
    ended_first = h2load_windows(read_h2load_log(log([(begin, 200, 1_100_000), rows[1]])), PLAN, connections=1, limit=1)
    assert ended_first[0].latencies.get_min_value() == pytest.approx(905_000, rel=0.001)
    assert ended_first[0].waited == 1


def test_a_lag_while_streams_are_free_is_h2loads_own() -> None:
    begin = 1_700_000_000_000_000
    rows = [(begin, 200, 5_000), (begin + 400_000, 200, 5_000)]
    (window,) = h2load_windows(read_h2load_log(log(rows)), PLAN, connections=1, limit=1)
    assert (window.late, window.waited) == (1, 0)
    assert window.latencies.get_max_value() == pytest.approx(5_000, rel=0.001)
    assert window.lags.get_max_value() == pytest.approx(300_000, rel=0.001)


def test_failures_are_counted_by_their_status() -> None:
    rows = [(0, 200, 1), (1, 503, 1), (2, -1, 1)]
    (window,) = h2load_windows(read_h2load_log(log(rows)), PLAN, connections=4, limit=1000)
    assert window.errors == {"HTTP 503": 1, "failed": 1}
    assert window.right_answers == 1


def test_wrks_quantiles_become_a_histogram_of_as_many_requests() -> None:
    quantiles = "".join(f"quantile {value}\n" for value in range(1000, 3000))
    window = read_wrk(f"Running\nerrors 1 0 2 3 10\nrequests 5010 longest 9000\n{quantiles}")
    assert window.errors == {"not connected": 1, "connection closed": 2, "timed out": 3, "HTTP status": 10}
    assert (window.right_answers, window.due) == (5000, 5016)
    assert window.latencies.get_value_at_percentile(50) == pytest.approx(2000, rel=0.01)
    assert window.latencies.get_max_value() == pytest.approx(9000, rel=0.01)


def test_a_tool_without_an_answer_is_an_error() -> None:
    with pytest.raises(LoadTestError, match="wrk got no answer: unable to connect"):
        read_wrk("unable to connect")
    assert h2load_windows(read_h2load_log(""), PLAN, connections=1, limit=1) == []


@pytest.mark.parametrize(
    ("tool", "options", "wrong"),
    [
        ("h2load", {"shape": "ramp"}, "expected the shape constant or soak and one API"),
        ("h2load", {"api": "rest-predict,grpc-predict"}, "expected the shape constant or soak and one API"),
        ("wrk", {"api": "grpc-predict"}, "expected an API over REST, received grpc-predict; h2load can gRPC"),
    ],
)
def test_what_a_tool_cannot_do_is_refused(
    tool: str, options: dict[str, str], wrong: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr("loadtest.tools.run.shutil.which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(UsageError, match=f"^--generator {tool}: {wrong}$"):
        run_tool(tool, plan_of(options), tmp_path, lambda _: "")  # type: ignore[arg-type]


def test_a_tool_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr("loadtest.tools.run.shutil.which", lambda _: None)
    with pytest.raises(UsageError, match="apt-get install nghttp2-client"):
        run_tool("h2load", PLAN, tmp_path, lambda _: "")  # type: ignore[arg-type]
