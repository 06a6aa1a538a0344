"""The manager and labels: which versions they keep loaded, and when they move."""

from __future__ import annotations

import pytest

from serving.errors import InvalidInputError, ModelNotFoundError
from serving.model_config import ModelConfig
from serving.version_labels import VERSION_LABELS
from tests.support.repository_stand import Configured, RepositoryStand


async def test_a_label_keeps_the_version_that_it_names_beside_the_newest(stand: RepositoryStand) -> None:
    for version in (1, 2, 3):
        stand.version(f"digits/{version}")
    stand.label(stable=1)
    await stand.step()

    assert stand.available() == {1, 3}
    assert (stand.served(), stand.served(label="stable")) == (3, 1)
    assert stand.manager.models()[0].labels == {"stable": 1}


async def test_a_label_binds_when_its_version_comes(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    stand.label(canary=2)
    await stand.step()
    with pytest.raises(ModelNotFoundError, match=r"^Servable not found for request: Specific\(digits, 2\)$"):
        stand.served(label="canary")
    stand.version("digits/2")
    await stand.step()

    assert stand.served(label="canary") == 2


async def test_a_label_that_moves_answers_from_its_old_version_until_the_new_one_does(stand: RepositoryStand) -> None:
    for version in (1, 2, 3):
        stand.version(f"digits/{version}")
    stand.label(stable=1)
    await stand.step()
    stand.label(stable=2)
    await stand.step(loads=0)
    assert (stand.served(label="stable"), stand.states()) == (1, {3: "AVAILABLE", 2: "LOADING", 1: "AVAILABLE"})
    await stand.load_next()

    assert (stand.served(label="stable"), stand.states()) == (2, {3: "AVAILABLE", 2: "AVAILABLE", 1: "END"})


async def test_a_label_that_moves_to_a_broken_version_stays_where_it_was(stand: RepositoryStand) -> None:
    for version in (1, 3):
        stand.version(f"digits/{version}")
    stand.version("digits/2", broken="bad")
    stand.label(stable=1)
    await stand.step()
    stand.label(stable=2)
    await stand.step()
    await stand.step()

    assert (stand.served(label="stable"), stand.available()) == (1, {1, 3})
    (stand.root / "digits" / "2" / "broken").unlink()
    await stand.step()
    assert (stand.served(label="stable"), stand.available()) == (2, {2, 3})


async def test_a_label_that_is_taken_away_is_unknown_and_lets_its_version_go(stand: RepositoryStand) -> None:
    for version in (1, 2):
        stand.version(f"digits/{version}")
    stand.label(stable=1)
    await stand.step()
    stand.label()
    await stand.step()

    assert stand.available() == {2}
    with pytest.raises(InvalidInputError, match=r"^Unrecognized servable version label: stable$"):
        stand.served(label="stable")


async def test_labels_that_cannot_be_understood_stay_as_they_were(
    stand: RepositoryStand, caplog: pytest.LogCaptureFixture
) -> None:
    for version in (1, 2):
        stand.version(f"digits/{version}")
    stand.label(stable=1)
    await stand.step()
    (stand.root / "digits" / VERSION_LABELS).write_text("{")
    await stand.step()
    await stand.step()

    assert stand.served(label="stable") == 1
    assert caplog.text.count("labels.json is not valid") == 1, "said once"


async def test_configured_labels_win_over_those_beside_the_versions(stand: RepositoryStand) -> None:
    for version in (1, 2, 3):
        stand.version(f"digits/{version}")
    stand.label(stable=1, canary=3)
    base_path = str(stand.root / "digits")
    catalogue = Configured({"digits": ModelConfig(base_path=base_path, version_labels={"stable": 2})})
    stand = RepositoryStand(stand.root, catalogue)
    await stand.step()

    assert (stand.served(label="stable"), stand.served(label="canary")) == (2, 3)
    catalogue.models["digits"] = ModelConfig(base_path=base_path)
    await stand.step()
    assert (stand.served(label="stable"), stand.available()) == (1, {1, 3})
