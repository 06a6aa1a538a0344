"""Reports: one file each, which needs nothing else, and says what came out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadtest.bisection import Trial
from loadtest.errors import UsageError
from loadtest.figures import Outcome, outcome_of
from loadtest.limit import Search, Setting
from loadtest.plan import LoadPlan
from loadtest.recording import Recorder, Recording, write_line
from loadtest.report import charts
from loadtest.report.comparison import write_comparison
from loadtest.report.limits import write_limits
from loadtest.report.run import RunReport, write_report
from loadtest.results import read_results, write_results
from loadtest.server_figures import Sample, read_sample
from loadtest.tools.wrk import read_wrk
from tests.support.loadtest_recordings import made_up_outcome, steady

ENVIRONMENT = {"command": "atelier loadtest --model '<script>'", "server": "atelier 0.1.0"}


def samples() -> list[Sample]:
    texts = [
        "".join(
            f'{name}{{model_name="m"}} {value}\n'
            for name, value in (
                ("atelier_batch_rows_sum", 6 * second),
                ("atelier_batch_rows_count", 2 * second),
                ("atelier_batch_run_seconds_sum", 0.01 * second),
                ("atelier_batch_wait_seconds_sum", 0.001 * second),
                ("atelier_queue_rows", second),
            )
        )
        for second in range(5)
    ]
    return [one for second, text in enumerate(texts) if (one := read_sample(text, "m", float(second)))]


def outcome(slo: str = "p99<50ms", **plan: object) -> Outcome:
    def fill(recorder: Recorder) -> None:
        steady(recorder, seconds=4, per_s=50)
        recorder.sent(1.5, 0.0, 1, waits=False)
        recorder.failed(1.5, "HTTP 503", "<b>busy</b>")

    return made_up_outcome(fill, slo, **{"duration_s": 4, "model": "<m>", **plan})


def is_self_contained(html: str) -> bool:
    """Whether a page names no other host and runs no script; XML name spaces are names, not addresses."""
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    outside = re.findall(r'(?:src|href)="(?!#|data:)|url\((?!#)', without_names)
    return not outside and "<script" not in html and "default-src 'none'" in html


@pytest.mark.parametrize("sampled", [samples(), []], ids=["with server figures", "without"])
def test_wrk_is_drawn_no_course_and_its_sums_are_of_all_seconds(tmp_path: Path, sampled: list[Sample]) -> None:
    window = read_wrk("errors 0 0 0 0 0\nrequests 400 longest 9000\n" + "quantile 2000\n" * 2000)
    start = {"kind": "start", "generator": "wrk", "plan": LoadPlan(duration_s=4).model_dump(mode="json"), "begin": 0.0}
    recording = Recording()
    recording.add([start, window.line(), {"kind": "end", "reason": "finished"}])
    of_wrk = outcome_of(recording, ())
    assert [one.answered_per_s for one in of_wrk.by_window] == [100.0]
    write_report(tmp_path / "report.html", RunReport(of_wrk, sampled, ENVIRONMENT))
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "from the moment a request was due" not in html
    assert "every answer was checked" not in html
    assert ("Over time" in html) == bool(sampled)


def test_a_report_holds_everything_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, RunReport(outcome(), samples(), ENVIRONMENT))
    html = path.read_text(encoding="utf-8")
    assert is_self_contained(html)
    assert "Objective met." in html
    assert "p99&lt;50ms: 10 ms" in html
    for title in ("Over time", "Latency over throughput", "Histogram", "Errors by kind", "Environment"):
        assert f"<h2>{title}</h2>" in html
    for drawn in ("rows in a batch", "rows in queue", "run of a batch", "p99 of the lag", "answered", "failed"):
        assert drawn in html
    assert "&lt;b&gt;busy&lt;/b&gt;" in html
    assert "atelier loadtest --model &#39;&lt;script&gt;&#39;" in html
    assert html.count("<svg") == 3


def test_a_missed_objective_a_partial_test_and_a_saturated_generator_are_said(tmp_path: Path) -> None:
    def fill(recorder: Recorder) -> None:
        steady(recorder, seconds=4, per_s=50, lag_s=0.05)

    path = tmp_path / "report.html"
    judged = made_up_outcome(fill, "p99<5ms", end="interrupted", shape="ramp", duration_s=60)
    write_report(path, RunReport(judged, [], {}))
    html = path.read_text(encoding="utf-8")
    for said in ("Objective missed.", "(missed)", "Partial.", "Generator saturated.", "Breaking point."):
        assert said in html
    assert "server: rows" not in html


def test_steps_are_judged_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, RunReport(outcome(shape="steps", from_rate=20, rate=60, steps=2), [], {}))
    html = path.read_text(encoding="utf-8")
    assert "<h2>Steps</h2>" in html
    assert html.count('<td class="good">met</td>') == 2


def test_a_test_of_no_answers_has_a_report_too(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, RunReport(made_up_outcome(lambda _: None, "p99<5ms"), [], {}))
    assert "no answer to measure" in path.read_text(encoding="utf-8")


def test_results_are_read_again_as_they_were_written(tmp_path: Path) -> None:
    judged = outcome("p99<50ms,errors<0.1%")
    folder = tmp_path / "out"
    folder.mkdir()
    for line in (judged.recording.start, *(window.line() for window in judged.recording.windows.values())):
        write_line(folder / "recording.jsonl", line)
    write_line(folder / "recording.jsonl", judged.recording.end)
    result = write_results(folder, RunReport(judged, [], ENVIRONMENT), "p99<50ms,errors<0.1%")
    assert (result["met"], result["partial"], result["errors"]) == (False, False, {"HTTP 503": 1})
    again, slo = read_results(folder)
    assert slo == "p99<50ms,errors<0.1%"
    assert again.environment == ENVIRONMENT
    assert [one.met for one in again.outcome.judgements] == [True, False]
    other, slo = read_results(folder / "recording.jsonl", "errors<5%")
    assert other.outcome.is_met


def test_a_folder_without_a_test_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"recording\.jsonl cannot be read: No such file"):
        read_results(tmp_path)


def test_two_tests_are_set_side_by_side(tmp_path: Path) -> None:
    slower = made_up_outcome(
        lambda recorder: steady(recorder, seconds=4, per_s=50, latency_s=0.02), "p99<15ms", duration_s=4, connections=9
    )
    path = tmp_path / "comparison.html"
    write_comparison(
        path, [("before", RunReport(outcome(), [], {})), ("after", RunReport(slower, [], {"Python": "4"}))]
    )
    html = path.read_text(encoding="utf-8")
    assert is_self_contained(html)
    assert "before and after" in html
    assert "+100.0 %" in html
    assert '<td>connections</td><td class="text">64</td><td class="text">9</td>' in html
    assert "<td>rows</td>" not in html  # is the same in both


def test_all_settings_curves_are_in_one_picture(tmp_path: Path) -> None:
    searches = [
        Search(Setting("small"), [Trial(100, 5, 100, met=True), Trial(200, 90, 190, met=False)]),
        Search(Setting("large"), [Trial(100, 4, 100, met=True), Trial(200, 9, 199, met=False, saturated=True)]),
    ]
    path = tmp_path / "report.html"
    write_limits(path, searches, LoadPlan(), "p99<50ms", ENVIRONMENT)
    html = path.read_text(encoding="utf-8")
    assert is_self_contained(html)
    assert html.count("<svg") == 1
    assert "small: 100 requests/s" in html
    assert "large: at least 100 requests/s; above, the generator was the limit, not the server" in html


def test_the_histogram_begins_where_the_answers_do() -> None:
    def fill(recorder: Recorder) -> None:
        steady(recorder, seconds=2, per_s=50)
        recorder.sent(3.5, 0.0, 1, waits=False)
        recorder.failed(3.5, "HTTP 503", "busy")  # a second without any latency

    edges, counts = charts._bins(made_up_outcome(fill, duration_s=4).figures.latencies)
    assert (edges[0], edges[-1]) == (pytest.approx(10, rel=0.13), pytest.approx(10, rel=0.13))
    assert counts.sum() == 100
    edges, _ = charts._bins(made_up_outcome(lambda _: None).figures.latencies)
    assert len(edges) == 0
