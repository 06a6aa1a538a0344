"""`atelier loadtest`, as it is typed, against a real gateway."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from atelier.cli import app
from tests.support.cli import COMMAND, atelier
from tests.support.gateway import RunningGateway
from tests.support.waiting import wait_until

PATIENTLY = ("--spacing", "even", "--timeout", "60")
"""As many requests as the rate says; none fails because the machine is busy."""
EVERY_API = "grpc-predict,grpc-image,grpc-oip,rest-predict,rest-image,rest-oip"


def load(gateway: RunningGateway, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    short = ("--duration", "2", "--warm-up", "0.5", "--rate", "40")
    return atelier(
        "loadtest", "--url", gateway.rest_url, "--model", "digits", "--data", "random", *short,
        "--report", str(folder), *options,
        timeout_s=300.0,
    )  # fmt: skip


def result(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return document


def test_every_api_is_asked_with_real_images_and_every_answer_is_right(gateway: RunningGateway, tmp_path: Path) -> None:
    slo = "p99<60s,errors<0.1%,accuracy>80%"
    ended = load(gateway, tmp_path, "--api", EVERY_API, "--slo", slo, *PATIENTLY, "--data", "digits")
    assert ended.returncode == 0, ended.stderr
    assert "Objective met." in ended.stdout
    found = result(tmp_path)
    assert (found["met"], found["partial"], found["errors"]) == (True, False, {})
    assert found["requests"] == found["right_answers"] == 80
    assert 0.8 < found["accuracy"] < 1
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "rows in a batch" in html
    assert "atelier loadtest --url" in html


def test_several_processes_share_one_schedule(gateway: RunningGateway, tmp_path: Path) -> None:
    ended = load(gateway, tmp_path, "--processes", "2", *PATIENTLY, "--slo", "errors<0.1%")
    assert ended.returncode == 0, ended.stderr
    assert result(tmp_path)["requests"] == result(tmp_path)["right_answers"] == 80
    lines = [json.loads(line) for line in (tmp_path / "recording.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0]["processes"] == 2
    assert sum(line["kind"] == "left" for line in lines) == 2


def test_ctrl_c_writes_a_partial_report_that_says_so(gateway: RunningGateway, tmp_path: Path) -> None:
    recording = tmp_path / "recording.jsonl"
    command = [*COMMAND, "loadtest", "--url", gateway.rest_url, "--model", "digits", "--duration", "600"]
    with subprocess.Popen(
        [*command, "--warm-up", "0", "--report", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        wait_until(lambda: recording.is_file() and '"index":1' in recording.read_text(encoding="utf-8"), 120.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300.0)
    assert process.returncode == 130, err
    assert "interrupted; the report in" in err
    assert "Partial. The test was interrupted: figures are of " in out
    assert "The test was interrupted" in (tmp_path / "report.html").read_text(encoding="utf-8")
    found = result(tmp_path)
    assert found["partial"]
    assert found["seconds"] < 600
    assert found["right_answers"] > 0


def test_a_ramp_ends_at_its_breaking_point(gateway: RunningGateway, tmp_path: Path) -> None:
    ended = load(gateway, tmp_path, "--shape", "ramp", "--duration", "600", "--from-rate", "20", "--slo", "p50<1us")
    assert ended.returncode == 1, ended.stderr
    assert "Breaking point. The objective was missed in three windows in a row from second 0 on, at 20 requests/s" in (
        " ".join(ended.stdout.split())
    )
    assert "The ramp was ended at its breaking point" in ended.stdout


def test_a_trace_is_replayed_and_as_long_as_it_is(gateway: RunningGateway, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("second\n" + "".join(f"{number / 10}\n" for number in range(21)), encoding="utf-8")
    options = ("--url", gateway.rest_url, "--model", "digits", "--warm-up", "0", "--report", str(tmp_path / "out"))
    ended = atelier("loadtest", *options, "--trace", str(trace), "--speed", "2", "--slo", "errors<1%")
    assert ended.returncode == 0, ended.stderr
    assert result(tmp_path / "out")["requests"] == 21
    assert result(tmp_path / "out")["plan"]["duration_s"] == pytest.approx(1.001)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (("--url", "ftp://host"), "--url: expected http://HOST:PORT or https://HOST:PORT, received 'ftp://host'"),
        (("--rate", "0"), "--rate: input should be greater than 0"),
        (("--rate", "1e12"), "--rate: input should be less than or equal to 200000"),
        (("--slo", "quick"), "SLO: expected conditions such as p99<50ms,errors<0.1%, received 'quick'"),
        (("--trace", "missing.csv"), "trace missing.csv cannot be read: No such file or directory"),
        (("--compare", "missing"), "recording missing cannot be read: No such file or directory"),
        (("--generator", "ab"), "--generator: expected locust, h2load or wrk, received 'ab'"),
        (("--generator", "wrk", "--rate", "50"), "--rate: expected without --generator wrk, which has no rate"),
        (
            ("--generator", "wrk", "--spacing", "even"),
            "--spacing: expected without --generator wrk, which has no sched",
        ),
        (("--generator", "wrk", "--warm-up", "1"), "--warm-up: expected without --generator wrk, which measures from"),
        (("--generator", "wrk", "--processes", "2"), "--processes: expected without --generator wrk, which is one"),
        (("--generator", "h2load", "--spacing", "poisson"), "--spacing: expected without --generator h2load, which se"),
        (("--generator", "h2load", "--timeout", "1"), "--timeout: expected without --generator h2load, which waits"),
        (("find-limit", "--slo", "max<1s", "--generator", "wrk"), "--first-rate: expected without --generator wrk"),
        (("--report", "/dev/null/out"), "--report /dev/null/out: expected a folder to write to"),
        (("compare", "missing"), "expected 2 to 8 folders to compare, received 1"),
        (("compare", "missing", "other"), "recording missing cannot be read: No such file or directory"),
        (("report", "missing"), "recording missing cannot be read: No such file or directory"),
        (("find-limit", "--slo", ""), "--slo: expected an objective, received none"),
        (("find-limit", "--slo", "max<1s", "--target", "x"), "--target: expected NAME=http://HOST:PORT, received 'x'"),
        (("find-limit", "--slo", "max<1s", "--serve", "'"), "--serve: expected flags of `atelier serve`, received"),
    ],
)
def test_bad_input_gets_one_sentence_and_2(tmp_path: Path, options: tuple[str, ...], wrong: str) -> None:
    with contextlib.chdir(tmp_path):
        ended = CliRunner().invoke(app, ["loadtest", *options])
    assert ended.exit_code == 2, ended.output
    assert wrong in ended.stderr
    assert not list(tmp_path.rglob("report.html"))


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (("--url", "http://127.0.0.1:1"), "no model server answers at http://127.0.0.1:1/"),
        (("--grpc-address", "127.0.0.1:1"), "grpc-predict at 127.0.0.1:1 fails: UNAVAILABLE: "),
        (("--model", "doubled"), "wrong: expected probabilities that sum to one, received a sum of 2"),
    ],
)
def test_what_is_wrong_with_a_server_is_found_out_before_the_load(
    gateway: RunningGateway, tmp_path: Path, options: tuple[str, ...], wrong: str
) -> None:
    ended = load(gateway, tmp_path, *options)
    assert ended.returncode == 2, ended.stderr
    assert wrong in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "report.html").exists()


@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")
def test_h2load_gives_the_same_report_and_says_what_it_cannot_see(gateway: RunningGateway, tmp_path: Path) -> None:
    ended = load(gateway, tmp_path, "--generator", "h2load", "--slo", "errors<0.1%,p99<60s")
    assert ended.returncode == 0, ended.stderr
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "by h2load" in html
    assert "It looks at no answer" in html
    assert "poisson" not in html
    found = result(tmp_path)  # fewer than 80 where h2load itself had to wait for a core when its time was over
    assert 40 <= found["right_answers"] == found["requests"] <= 83


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_gives_the_same_report_and_says_that_it_is_a_closed_loop(gateway: RunningGateway, tmp_path: Path) -> None:
    ended = atelier(
        "loadtest", "--url", gateway.rest_url, "--model", "digits", "--data", "random", "--duration", "2",
        "--generator", "wrk", "--api", "rest-predict", "--slo", "errors<0.1%,p99<60s", "--report", str(tmp_path),
        timeout_s=300.0,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "wrk is a closed loop" in html
    assert "64 connections in a closed loop for 2 s" in html
    assert "100 requests/s" not in html
    assert result(tmp_path)["right_answers"] > 80


def test_limits_are_found_for_each_setting_and_drawn_in_one_picture(gateway: RunningGateway, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = atelier(
        "loadtest", "find-limit", "--model", "digits", "--target", f"running={gateway.rest_url}", "--slo", "p99<60s",
        "--first-rate", "20", "--highest-rate", "40", "--duration", "1", "--warm-up", "0", "--report", str(out),
        "--data", "random", "--json",
        timeout_s=300.0,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["limits"] == {"running": 40}
    assert "at least 40 requests/s, the highest rate that was asked for" in (out / "report.html").read_text("utf-8")


def test_a_missed_objective_ends_with_1_and_reports_are_compared_and_written_again(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    first, second, out = tmp_path / "first", tmp_path / "second", tmp_path / "again.html"
    slo = ("--slo", "p50<1us,errors<1%")
    ended = load(gateway, first, *slo, "--json", "--model", "line", "--api", "rest-predict,grpc-oip")
    assert ended.returncode == 1, ended.stderr
    assert [one["met"] for one in json.loads(ended.stdout)["judgements"]] == [False, True]
    assert "Objective missed. p50<1us: " in ended.stderr
    ended = load(gateway, second, "--compare", str(first))
    assert ended.returncode == 0, ended.stderr
    assert "first and second" in (second / "comparison.html").read_text(encoding="utf-8")
    ended = CliRunner().invoke(app, ["loadtest", "compare", str(first), str(second), "--out", str(out)])
    assert ended.exit_code == 0, ended.output
    assert "<svg" in out.read_text(encoding="utf-8")
    again = ["report", str(second), "--slo", "p50<1us", "--report", str(tmp_path / "again")]
    ended = CliRunner().invoke(app, ["loadtest", *again])
    assert ended.exit_code == 0, ended.output
    assert "Objective missed." in (tmp_path / "again" / "report.html").read_text(encoding="utf-8")
