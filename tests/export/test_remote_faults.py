"""Publishers as processes of their own, at work and dying in a real S3 server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import atelier
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


@pytest.fixture(scope="module")
def together(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What two publishers at once have left, two versions each."""
    return play_in(s3, "together_in_a_store", tmp_path_factory.mktemp("scratch"))


def test_two_publishers_at_once_share_the_numbers_of_a_store(together: Any) -> None:
    assert together == {"versions": [1, 2, 3, 4], "damaged": [], "staging_folders": 0, "claimed": 4, "statuses": [0, 0]}


def test_of_three_publishers_that_want_the_same_number_of_a_store_one_gets_it(s3: S3Server, tmp_path: Path) -> None:
    after = play_in(s3, "same_number_in_a_store", tmp_path)

    assert sorted(after["codes"]) == [0, 2, 2]
    assert (after["versions"], after["damaged"], after["staging_folders"]) == ([7], [], 0)


def test_the_commands_find_a_store_by_what_the_environment_says(s3: S3Server, together: Any) -> None:
    environment = {**os.environ, **s3.environment}
    model = f"{s3.address}/together_in_a_store/clothes"

    verified = atelier("verify", model, "--json", environment=environment)
    unasked = atelier("prune", model, "--keep", "1", environment=environment)
    pruned = atelier("prune", model, "--keep", "1", "--unserved", "--json", environment=environment)

    assert verified.returncode == 0, verified.stderr
    paths = [version["path"] for version in json.loads(verified.stdout)["versions"]]
    assert paths == [f"{model}/{number}" for number in together["versions"]]
    assert unasked.returncode == 2
    assert f"who serves versions from {model} cannot be seen from here" in unasked.stderr
    assert json.loads(pruned.stdout)["models"][0]["removed"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "Could not connect to the endpoint URL"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "Unable to locate credentials"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_sentence_and_exit_code_1(
    s3: S3Server, tmp_path: Path, change: dict[str, str], sentence: str
) -> None:
    surroundings = {**os.environ, **s3.environment, "HOME": str(tmp_path), "AWS_MAX_ATTEMPTS": "1", **change}
    environment = {name: value for name, value in surroundings.items() if value}

    refused = atelier("verify", f"{s3.address}/clothes", environment=environment)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"atelier: {s3.address}/clothes cannot be used: ")
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
