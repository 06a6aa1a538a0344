"""The manager and traffic: who answers requests that name neither a version nor a label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.model_config import ModelConfig
from serving.signatures import DEFAULT_SIGNATURE
from serving.traffic.files import TRAFFIC
from serving.version_labels import VERSION_LABELS
from tests.support.repository_stand import Configured, RepositoryStand
from tests.support.stepping import turn


def store(folder: Path, **traffic: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "new").write_text(json.dumps(traffic))
    (folder / "new").replace(folder / TRAFFIC)


async def standing(stand: RepositoryStand, *versions: int, **labels: int) -> None:
    for version in versions:
        stand.version(f"digits/{version}")
    stand.label(**labels)
    await stand.step()


async def test_requests_are_divided_exactly_by_weight(stand: RepositoryStand) -> None:
    store(stand.root / "digits", traffic={"stable": 95, "canary": 5})
    await standing(stand, 1, 2, 3, stable=1, canary=2)

    assert stand.available() == {1, 2, 3}
    assert stand.routed(100) == {1: 95, 2: 5}
    assert stand.served() == 1, "who asks for metadata hears of the version that most requests get"
    assert (stand.served(label="canary"), stand.manager.resolve("digits", 3).version) == (2, 3)


async def test_without_traffic_the_newest_answers(stand: RepositoryStand) -> None:
    await standing(stand, 1, 2, stable=1)
    assert stand.routed(10) == {2: 10}


async def test_a_label_that_names_nothing_yet_leaves_its_weight_to_the_others(stand: RepositoryStand) -> None:
    store(stand.root / "digits", traffic={"stable": 90, "canary": 10})
    await standing(stand, 1, 2, stable=1)
    assert stand.routed(20) == {1: 20}
    stand.version("digits/3", broken="bad")
    stand.label(stable=1, canary=3)
    await stand.step()
    assert stand.routed(20) == {1: 20}
    stand.label(stable=1, canary=2)
    await stand.step()
    assert stand.routed(20) == {1: 18, 2: 2}


async def test_when_no_target_answers_the_newest_version_does(stand: RepositoryStand) -> None:
    store(stand.root / "digits", traffic={"stable": 1, "9": 1})
    await standing(stand, 1, 2)
    assert stand.routed(10) == {2: 10}


async def test_versions_that_traffic_names_by_number_are_loaded(stand: RepositoryStand) -> None:
    store(stand.root / "digits", traffic={"1": 1, "2": 3})
    await standing(stand, 1, 2, 3)
    assert stand.available() == {1, 2, 3}
    assert stand.routed(8) == {1: 2, 2: 6}


async def test_requests_of_one_user_stay_with_one_version(stand: RepositoryStand) -> None:
    store(stand.root / "digits", traffic={"stable": 1, "canary": 1}, sticky_header="X-User")
    await standing(stand, 1, 2, stable=1, canary=2)
    versions = [set(stand.routed(5, x_user=str(user))) for user in range(20)]
    assert all(len(one) == 1 for one in versions)
    assert set.union(*versions) == {1, 2}
    assert stand.routed(10, other="1") == {1: 5, 2: 5}


async def test_a_label_that_moves_takes_its_weight_along_once_its_version_answers(stand: RepositoryStand) -> None:
    store(stand.root / "digits", traffic={"stable": 1})
    await standing(stand, 1, 2, 3, stable=1)
    stand.label(stable=2)
    await stand.step(loads=0)
    assert stand.routed(4) == {1: 4}
    await stand.load_next()
    assert stand.routed(4) == {2: 4}


async def test_configured_traffic_wins_over_stored_and_gives_way_again(stand: RepositoryStand) -> None:
    folder = stand.root / "digits"
    store(folder, traffic={"canary": 1})
    catalogue = Configured({"digits": ModelConfig(base_path=str(folder), traffic={"stable": 1})})
    stand = RepositoryStand(stand.root, catalogue)
    await standing(stand, 1, 2, 3, stable=1, canary=2)
    assert stand.routed(4) == {1: 4}
    catalogue.models["digits"] = ModelConfig(base_path=str(folder))
    await stand.step()
    assert stand.routed(4) == {2: 4}
    assert len(stand.loads.begun) == 3, "nothing was loaded again"


async def test_labels_are_followed_without_a_look_at_the_versions(stand: RepositoryStand) -> None:
    await standing(stand, 1, 2, 3, stable=1, canary=2)
    stand.label(stable=2, canary=2)
    await stand.manager.look_at_labels()
    assert stand.served(label="stable") == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [(VERSION_LABELS, "{"), (TRAFFIC, '{"traffic": {"stable": -1}}'), (VERSION_LABELS, '{"stable": "newest"}')],
)
async def test_a_broken_file_changes_nothing_and_is_said_once(
    stand: RepositoryStand, caplog: pytest.LogCaptureFixture, name: str, content: str
) -> None:
    store(stand.root / "digits", traffic={"stable": 1})
    await standing(stand, 1, 2, stable=1)
    (stand.root / "digits" / name).write_text(content)
    for _ in range(3):
        await stand.manager.look_at_labels()
    assert stand.routed(4) == {1: 4}
    assert caplog.text.count(f"digits: {name} is not valid") == 1
    problem = stand.manager.model("digits").stored.problem
    assert problem is not None
    assert problem.startswith(f"{name} is not valid")
    figure = stand.metrics.registry.get_sample_value
    assert figure("atelier_stored_problems", {"model_name": "digits"}) == 1
    store(stand.root / "digits", traffic={"2": 1})
    stand.label(stable=2)
    await stand.manager.look_at_labels()
    assert stand.manager.model("digits").stored.problem is None
    assert stand.routed(4) == {2: 4}
    assert figure("atelier_stored_problems", {"model_name": "digits"}) is None


async def test_a_state_folder_wins_over_the_files_beside_the_versions(stand: RepositoryStand, tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    stand = RepositoryStand(stand.root, state_dir=state_dir)
    store(state_dir / "digits", traffic={"stable": 1})
    (state_dir / "digits" / VERSION_LABELS).write_text('{"stable": 2}')
    await standing(stand, 1, 2, 3, stable=1, canary=1)
    assert (stand.served(label="stable"), stand.served(label="canary")) == (2, 1)
    assert stand.routed(4) == {2: 4}


async def test_a_shadow_follows_its_label_and_the_settings(stand: RepositoryStand) -> None:
    def compared(version: str, primary: str) -> float:
        labels = {"model_name": "digits", "version": version, "primary_version": primary, "outcome": "compared"}
        return stand.metrics.registry.get_sample_value("atelier_shadow_requests_total", labels) or 0.0

    async def ask() -> None:
        servable = stand.manager.route("digits")
        with servable:
            await servable.run(DEFAULT_SIGNATURE, {"x": np.ones(1, np.float32)})
        shadow = stand.manager.model("digits").shadow
        while shadow is not None and shadow._work is not None:
            await turn()

    store(stand.root / "digits", traffic={"stable": 1}, shadow={"target": "canary", "max_busy": 1.0})
    await standing(stand, 1, 2, 3, stable=1, canary=2)
    await ask()
    assert compared("2", "1") == 1
    stand.label(stable=1, canary=3)
    await stand.step()
    await ask()
    assert (compared("2", "1"), compared("3", "1")) == (1, 1)
    store(stand.root / "digits", traffic={"stable": 1})
    await stand.step()
    await ask()
    assert (compared("2", "1"), compared("3", "1")) == (1, 1)
    assert stand.manager.model("digits").shadow is None
