"""The server's own figures, from its /metrics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtest.server_figures import ServerWatch, batches, read_sample, read_samples
from tests.support.gateway import RunningGateway
from tests.support.stranger import stranger
from tests.support.waiting import wait_until


def text(rows: float, count: float, run_s: float, wait_s: float, queue: float) -> str:
    return "".join(
        f'{name}{{model_name="{model}",version="{version}"}} {value / 2}\n'
        for model, factor in (("m", 1), ("other", 7))
        for version in (1, 2)
        for name, value in (
            ("atelier_batch_rows_sum", factor * rows),
            ("atelier_batch_rows_count", factor * count),
            ("atelier_batch_run_seconds_sum", factor * run_s),
            ("atelier_batch_wait_seconds_sum", factor * wait_s),
            ("atelier_queue_rows", factor * queue),
        )
    )


def test_batches_are_what_was_added_between_two_samples_of_one_models_versions() -> None:
    samples = [
        read_sample(text(*numbers), "m", at) for at, numbers in ((0, (0, 0, 0, 0, 4)), (2, (60, 20, 0.1, 0.02, 6)))
    ]
    assert [one.queue_rows for one in samples if one] == [4, 6]
    (found,) = batches([one for one in samples if one])
    assert (found.at, found.per_s, found.rows) == (2, 10, 3)
    assert (found.run_ms, found.wait_ms) == (pytest.approx(5), pytest.approx(1))


def test_a_server_that_began_anew_or_did_nothing_has_no_batches_there() -> None:
    samples = [read_sample(text(*numbers), "m", at) for at, numbers in ((0, (60, 20, 1, 1, 0)), (1, (1, 1, 0, 0, 0)))]
    assert batches([one for one in samples if one]) == []


@pytest.mark.parametrize("said", ["", "<html>", "up 1\n", text(1, 1, 1, 1, 1).replace('"m"', '"n"')])
def test_figures_of_something_else_are_none(said: str) -> None:
    assert read_sample(said, "m", 0) is None


def test_a_gateway_is_watched_on_the_tests_clock(gateway: RunningGateway, tmp_path: Path) -> None:
    path = tmp_path / "server.jsonl"
    with ServerWatch(gateway.rest_url, "digits", path=path, interval_s=0.02) as watch:
        assert watch.samples == []
        watch.begin = 0.0
        wait_until(lambda: watch.samples)
        gateway.rest.post("/v1/models/digits:predict", json={"instances": [[[0] * 8] * 8] * 3}).raise_for_status()
        wait_until(lambda: batches(watch.samples))
    assert batches(watch.samples)[-1].rows == 3
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert read_samples(lines) == watch.samples


def test_a_server_without_figures_is_tested_all_the_same() -> None:
    with stranger() as other, ServerWatch(other.url, "m", interval_s=0.01) as watch:
        watch.begin = 0.0
        wait_until(lambda: len(other.paths) > 2)
    assert watch.samples == []
