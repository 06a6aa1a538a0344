"""What is seen is counted in windows, written as lines, and merged by who reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.recording import Recorder, Recording, read_recording, write_line

START = {"kind": "start", "plan": {}}


def test_deltas_of_several_senders_and_moments_add_up(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    write_line(path, START)
    for _ in range(2):
        recorder = Recorder(window_s=1)
        recorder.sent(0.2, 0.001, 3, waits=False)
        recorder.sent(0.9, 0.050, 7, waits=True)
        recorder.answered(0.2, 0.25, labelled=2, right=1)
        for line in recorder.take():
            write_line(path, line)
        recorder.answered(0.9, 1.4, labelled=2, right=2)  # counts as latency where it was due, as answer where it came
        recorder.failed(0.9, "HTTP 503", "busy")
        recorder.failed(-0.5, "timed out", "slow", waited_s=2.0)
        recorder.busy(1.5, 0.5)
        for line in [*recorder.take(), *recorder.take(), {"kind": "left", "unfinished": 4}]:
            write_line(path, line)
    write_line(path, {"kind": "end", "reason": "finished"})
    recording = read_recording(path)
    warm_up, first, second = (recording.windows[index] for index in (-1, 0, 1))
    assert (first.due, first.late, first.waited, first.in_flight) == (4, 2, 2, 7)
    assert (first.right_answers, first.answered, second.answered) == (4, 2, 2)
    assert (first.labelled, first.classified_right, first.errors) == (8, 6, {"HTTP 503": 2})
    assert first.texts == {"HTTP 503": "busy"}
    assert first.latencies.get_total_count() == 4
    assert first.latencies.get_max_value() == pytest.approx(500_000, rel=0.001)
    assert warm_up.latencies.get_max_value() == pytest.approx(2_000_000, rel=0.001)
    assert second.cpu == 0.5
    assert (recording.unfinished, recording.end["reason"]) == (8, "finished")
    assert [window.index for window in recording.measured()] == [0, 1]


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    write_line(path, START)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"kind": "window", "ind')
    assert read_recording(path).windows == {}


def test_a_second_test_in_the_same_file_begins_anew(tmp_path: Path) -> None:
    recording = Recording()
    recorder = Recorder(1)
    recorder.sent(0.1, 0.0, 1, waits=False)
    recording.add([START, *recorder.take(), {"kind": "end", "reason": "finished"}, START])
    assert (recording.windows, recording.end) == ({}, {})


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("", "received no begin of one"),
        ("hello\n", "received something else"),
        ("[1]\n", "received something else"),
        (json.dumps({"kind": "window", "index": 0, "latencies": "?"}) + "\n", "received something else"),
    ],
)
def test_what_is_no_recording_is_named(tmp_path: Path, content: str, wrong: str) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=wrong):
        read_recording(path)
    with pytest.raises(UsageError, match="missing cannot be read: No such file"):
        read_recording(tmp_path / "missing")
