"""Publishers as processes of their own, at work and dying in a real S3 server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.s3_server import S3Server, s3_server

PUBLISHER = Path(__file__).with_name("publisher.py")
ROOT = PUBLISHER.parents[2]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


def play(scenario: str, s3: S3Server, scratch: Path) -> Any:
    done = subprocess.run(
        [sys.executable, str(PUBLISHER), scenario, f"{s3.address}/{scenario}"],
        env={**os.environ, **s3.environment, "PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    return json.loads(done.stdout)


def test_a_publisher_killed_at_any_of_twenty_random_requests_leaves_only_whole_versions(
    s3: S3Server, tmp_path: Path
) -> None:
    after = play("dying_at_random_requests", s3, tmp_path)

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
    after = play("together_in_a_store", s3, tmp_path)

    assert after == {"versions": [1, 2, 3, 4], "damaged": [], "staging_folders": 0, "claimed": 4, "statuses": [0, 0]}


def test_of_three_publishers_that_want_the_same_number_of_a_store_one_gets_it(s3: S3Server, tmp_path: Path) -> None:
    after = play("same_number_in_a_store", s3, tmp_path)

    assert sorted(after["codes"]) == [0, 2, 2]
    assert (after["versions"], after["damaged"], after["staging_folders"]) == ([7], [], 0)
