"""The manager and a configuration that changes: policies, base paths, models that come and go."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.batching.settings import BatchSettings
from serving.model_config import ModelConfig, Specific
from tests.support.repository_stand import Configured, RepositoryStand


@pytest.fixture
def catalogue(tmp_path: Path) -> Configured:
    return Configured({"digits": ModelConfig(base_path=str(tmp_path / "digits"))})


@pytest.fixture
def stand(tmp_path: Path, catalogue: Configured) -> RepositoryStand:
    stand = RepositoryStand(tmp_path, catalogue)
    for version in (1, 2, 3):
        stand.version(f"digits/{version}")
    return stand


@pytest.mark.parametrize(
    ("policy", "available"),
    [({"latest": 2}, {2, 3}), ("all", {1, 2, 3}), ({"specific": [1, 7]}, {1})],
)
async def test_a_policy_says_which_versions_answer(
    stand: RepositoryStand, catalogue: Configured, policy: object, available: set[int]
) -> None:
    catalogue.models["digits"] = ModelConfig.model_validate(
        {"base_path": str(stand.root / "digits"), "version_policy": policy}
    )
    await stand.step()

    assert stand.available() == available


async def test_a_policy_that_changes_loads_and_unloads_without_a_gap(
    stand: RepositoryStand, catalogue: Configured
) -> None:
    await stand.step()
    catalogue.models["digits"] = ModelConfig(
        base_path=str(stand.root / "digits"), version_policy=Specific(specific=frozenset({1}))
    )
    await stand.step(loads=0)
    assert (stand.served(), stand.states()) == (3, {3: "AVAILABLE", 1: "LOADING"})
    await stand.load_next()

    assert (stand.served(), stand.states()) == (1, {3: "END", 1: "AVAILABLE"})


async def test_a_base_path_that_moves_is_loaded_in_place_of_what_answers(
    stand: RepositoryStand, catalogue: Configured
) -> None:
    await stand.step()
    stand.version("moved/3")
    catalogue.models["digits"] = ModelConfig(base_path=str(stand.root / "moved"))
    await stand.step(loads=0)
    assert (stand.served(), stand.states()) == (3, {3: "LOADING"})
    assert stand.closed("digits/3") == 0
    await stand.load_next()

    assert stand.states() == {3: "AVAILABLE"}
    assert (stand.closed("digits/3"), stand.closed("moved/3")) == (1, 0)


async def test_a_base_path_that_moves_to_something_half_copied_waits_for_the_rest(
    stand: RepositoryStand, catalogue: Configured
) -> None:
    await stand.step()
    folder = stand.version("moved/3", manifest=False, half="a copy")
    catalogue.models["digits"] = ModelConfig(base_path=str(stand.root / "moved"))
    await stand.step()
    (folder / "more").touch()
    await stand.step()
    assert len(stand.loads.begun) == 1
    await stand.step()

    assert [path.parent.name for path in stand.loads.begun] == ["digits", "moved"]


async def test_a_base_path_that_is_not_there_leaves_what_answers_and_says_so(
    stand: RepositoryStand, catalogue: Configured, caplog: pytest.LogCaptureFixture
) -> None:
    await stand.step()
    catalogue.models["digits"] = ModelConfig(base_path=str(stand.root / "nowhere"))
    catalogue.models["other"] = ModelConfig(base_path=str(stand.root / "neither"))
    await stand.step()
    await stand.step()

    assert stand.served() == 3
    assert stand.manager.not_ready() == ["other: the base path cannot be looked at: No such file or directory"]
    assert caplog.text.count("digits: the base path cannot be looked at") == 1, "said once"


async def test_a_model_that_is_no_longer_configured_is_unloaded(stand: RepositoryStand, catalogue: Configured) -> None:
    await stand.step()
    catalogue.models["other"] = catalogue.models.pop("digits")
    await stand.step()

    assert stand.names() == ["other"]
    assert stand.served("other") == 3


async def test_batching_changes_in_a_version_that_goes_on_answering(
    stand: RepositoryStand, catalogue: Configured, caplog: pytest.LogCaptureFixture
) -> None:
    await stand.step()
    servable = stand.manager.resolve("digits")
    begun = len(stand.loads.begun)
    path = str(stand.root / "digits")
    catalogue.models["digits"] = ModelConfig(base_path=path, batching=BatchSettings(max_batch_size=7))
    await stand.step()
    assert (servable.max_batch_size("serving_default"), len(stand.loads.begun)) == (7, begun)

    catalogue.models["digits"] = ModelConfig(base_path=path)
    await stand.step()
    assert servable.max_batch_size("serving_default") == BatchSettings().max_batch_size
    assert stand.manager.resolve("digits") is servable


async def test_batching_that_makes_no_sense_changes_nothing(
    stand: RepositoryStand, catalogue: Configured, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(stand.root / "digits")
    own = BatchSettings(allowed_batch_sizes=(1, 8))
    catalogue.models["digits"] = ModelConfig(base_path=path, batching=own)
    await stand.step()
    servable = stand.manager.resolve("digits")
    servable._gateway_batching = BatchSettings(allowed_batch_sizes=(1, 64))
    catalogue.models["digits"] = ModelConfig(base_path=path, batching=BatchSettings(max_batch_size=16))
    await stand.step()

    assert servable.max_batch_size("serving_default") == 8
    assert "version 3 is batched as before: its batching does not go with the gateway's: allowed_batch" in caplog.text
