"""Publishers as processes of their own, at work and dying in a real S3 server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.publishers import play
from tests.support.s3_server import S3Server, s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


def play_in(s3: S3Server, scenario: str, scratch: Path) -> Any:
    return play(scenario, f"{s3.address}/{scenario}", environment={**s3.environment, "TMPDIR": str(scratch)})


def test_a_publisher_killed_at_any_of_twenty_random_requests_leaves_only_whole_versions(
    s3: S3Server, tmp_path: Path
) -> None:
    after = play_in(s3, "dying_at_random_requests", tmp_path)

    deaths = after["deaths"]
    assert len(deaths) == 20
    assert all(death["half_written"] == [] for death in deaths)
    # A publisher that finds something to finish makes more requests; some end before their turn to die comes.
    assert sum(death["status"] == 9 for death in deaths) > 10
    assert after["last"] == 0
    assert after["damaged"] == []
    assert len(after["versions"]) == after["claimed"]
    assert list((tmp_path / f"atelier-{os.getuid()}").iterdir()) == []


def test_two_publishers_at_once_share_the_numbers_of_a_store(s3: S3Server, tmp_path: Path) -> None:
    after = play_in(s3, "together_in_a_store", tmp_path)

    assert after == {"versions": [1, 2, 3, 4], "damaged": [], "staging_folders": 0, "claimed": 4, "statuses": [0, 0]}


def test_of_three_publishers_that_want_the_same_number_of_a_store_one_gets_it(s3: S3Server, tmp_path: Path) -> None:
    after = play_in(s3, "same_number_in_a_store", tmp_path)

    assert sorted(after["codes"]) == [0, 2, 2]
    assert (after["versions"], after["damaged"], after["staging_folders"]) == ([7], [], 0)
