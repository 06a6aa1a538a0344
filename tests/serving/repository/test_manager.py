"""The manager: what is loaded and unloaded, in which order, and what keeps answering meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from serving.errors import InvalidInputError, ModelNotFoundError
from serving.repository.transition import State
from tests.support.repository_stand import RepositoryStand
from tests.support.stepping import turn


async def test_a_version_answers_once_it_is_loaded(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step(loads=0)

    assert stand.states() == {1: "LOADING"}
    with pytest.raises(ModelNotFoundError, match=r"^Servable not found for request: Latest\(digits\)$"):
        stand.manager.resolve("digits")
    assert stand.manager.not_ready() == ["digits: loading"]
    await stand.load_next()
    assert stand.states() == {1: "AVAILABLE"}
    assert stand.served() == 1
    assert stand.manager.not_ready() == []


async def test_all_models_of_a_start_are_loaded_side_by_side(stand: RepositoryStand) -> None:
    for name in ("digits", "fashion", "flowers"):
        stand.version(f"{name}/1")
    await stand.step(loads=0)

    assert stand.executor.kept == 3, "as many as the executor has threads for"
    assert [stand.states(name) for name in stand.names()] == [{1: "LOADING"}] * 3


async def test_the_new_version_is_loaded_before_the_old_one_is_unloaded(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step()
    stand.version("digits/2")
    await stand.step(loads=0)

    assert (stand.served(), stand.states()) == (1, {2: "LOADING", 1: "AVAILABLE"})
    await stand.load_next()
    assert (stand.served(), stand.states()) == (2, {2: "AVAILABLE", 1: "END"})
    assert (stand.closed("digits/1"), stand.closed("digits/2")) == (1, 0)


async def test_looking_again_changes_nothing(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    stand.version("digits/2", broken="x")
    for _ in range(4):
        await stand.step()

    assert [path.name for path in stand.loads.begun] == ["2", "1"]
    assert stand.closed("digits/1") == 0


async def test_unloading_waits_for_the_requests_in_flight(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step()
    with stand.manager.resolve("digits") as first, stand.manager.resolve("digits"):
        stand.version("digits/2")
        await stand.step()
        assert (stand.served(), stand.states()) == (2, {2: "AVAILABLE", 1: "UNLOADING"})
        with pytest.raises(ModelNotFoundError, match=r"Specific\(digits, 1\)"):
            stand.manager.resolve("digits", 1)
        stand.executor.holds = lambda _: False
        answer = await first.run("serving_default", {"x": np.float32([5])})
        assert answer["y"].tolist() == [5]
        assert stand.closed("digits/1") == 0
    await turn()
    assert stand.states() == {2: "AVAILABLE", 1: "END"}
    assert stand.closed("digits/1") == 1


async def test_a_folder_without_versions_makes_nobody_unready_unless_it_is_alone(stand: RepositoryStand) -> None:
    (stand.root / "lost+found").mkdir()
    await stand.step()
    assert stand.manager.not_ready() == ["lost+found: no version folder (a plain number) was found"]
    stand.version("digits/1")
    await stand.step()

    assert stand.manager.not_ready() == []


async def test_without_any_model_the_gateway_is_not_ready(stand: RepositoryStand) -> None:
    await stand.step()

    assert stand.manager.not_ready() == ["no model was found"]


async def test_of_many_versions_only_the_newest_is_loaded(stand: RepositoryStand) -> None:
    for version in range(1, 51):
        stand.version(f"digits/{version}")
    await stand.step()

    assert [path.name for path in stand.loads.begun] == ["50"]
    assert stand.states() == {50: "AVAILABLE"}


async def test_versions_that_come_faster_than_they_load_leave_the_newest(stand: RepositoryStand) -> None:
    for version in range(1, 6):
        stand.version(f"digits/{version}")
        await stand.step(loads=0)
    served = []
    while stand.executor.kept:
        await stand.load_next()
        served.append(stand.served())

    assert served == [1, 2, 3, 4, 5]
    assert stand.available() == {5}
    assert [stand.closed(f"digits/{version}") for version in range(1, 6)] == [1, 1, 1, 1, 0]


async def test_settling_waits_for_everything_that_was_begun(stand: RepositoryStand) -> None:
    stand.executor.holds = lambda _: False
    stand.version("digits/1")
    stand.version("digits/2", broken="bad")
    await stand.manager.step()
    await stand.manager.settle()

    assert stand.served() == 1


async def test_names_versions_and_labels_that_are_unknown_are_told_apart(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step()
    resolve = stand.manager.resolve

    assert resolve("digits", 1).version == 1
    with pytest.raises(InvalidInputError, match=r"^ModelSpec has no name specified\.$"):
        resolve("")
    with pytest.raises(InvalidInputError, match=r"^Unrecognized servable version label: canary$"):
        resolve("digits", label="canary")
    with pytest.raises(InvalidInputError, match=r"^Unrecognized servable version label: canary$"):
        resolve("nobody", label="canary")
    with pytest.raises(ModelNotFoundError, match=r"^Servable not found for request: Specific\(digits, 2\)$"):
        resolve("digits", 2)
    with pytest.raises(ModelNotFoundError, match=r"^Servable not found for request: Latest\(nobody\)$"):
        resolve("nobody")
    with pytest.raises(ModelNotFoundError, match=r"^Could not find any versions of model nobody$"):
        stand.manager.statuses("nobody")
    with pytest.raises(ModelNotFoundError, match=r"^Could not find version 9 of model digits$"):
        stand.manager.statuses("digits", 9)


async def test_the_largest_int64_is_a_version_like_any_other(stand: RepositoryStand) -> None:
    largest = 2**63 - 1
    stand.version("digits/1")
    stand.version(f"digits/{largest}")
    await stand.step()

    assert stand.manager.resolve("digits", largest).version == stand.served() == largest
    assert stand.manager.statuses("digits", largest) == [(largest, State.AVAILABLE, None)]


async def test_closing_gives_back_every_back_end_that_is_left(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    stand.version("fashion/1")
    stand.version("fashion/2", broken="bad")
    await stand.step()
    stand.manager.close()

    assert (stand.closed("digits/1"), stand.closed("fashion/1")) == (1, 1)
