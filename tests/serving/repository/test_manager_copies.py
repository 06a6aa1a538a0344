"""The manager and versions whose files still change: copied by hand, mended, replaced."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from serving.repository.transition import State
from tests.support.repository_stand import RepositoryStand
from tests.support.stepping import turn


async def test_what_is_there_at_the_start_is_loaded_at_once_with_or_without_a_manifest(stand: RepositoryStand) -> None:
    stand.version("digits/1", manifest=False)
    stand.version("digits/2", manifest=False, broken="bad")
    await stand.step()

    assert (stand.served(), stand.states()) == (1, {2: "END", 1: "AVAILABLE"})


async def test_a_version_without_a_manifest_is_loaded_when_it_looks_the_same_twice(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step()
    folder = stand.version("digits/7", manifest=False)
    for half in ("a", "b", "c"):
        (folder / half).touch()
        await stand.step()
        assert (stand.served(), stand.states()) == (1, {1: "AVAILABLE"})
    await stand.step()

    assert (stand.served(), stand.states()) == (7, {7: "AVAILABLE", 1: "END"})
    assert len(stand.loads.begun) == 2


async def test_a_manifest_ends_the_wait(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step()
    stand.version("digits/7", manifest=False)
    await stand.step()
    stand.version("digits/7")
    await stand.step()

    assert stand.served() == 7


async def test_a_model_that_is_still_being_copied_is_loading_and_makes_no_other_unready(stand: RepositoryStand) -> None:
    await stand.step()
    stand.version("digits/1", manifest=False)
    await stand.step()
    assert stand.manager.not_ready() == ["digits: loading"]
    stand.version("fashion/1")
    (stand.root / "digits" / "1" / "model.onnx").touch()
    await stand.step()
    assert stand.manager.not_ready() == []
    await stand.step()

    assert stand.served("digits") == 1


async def test_a_copy_that_is_given_up_leaves_the_old_version(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step()
    stand.version("digits/7", manifest=False)
    await stand.step()
    shutil.rmtree(stand.root / "digits" / "7")
    await stand.step()
    stand.version("digits/7", manifest=False)
    await stand.step()

    assert (stand.served(), stand.states()) == (1, {1: "AVAILABLE"})


async def test_a_quarantined_version_without_a_manifest_has_to_settle_again(stand: RepositoryStand) -> None:
    folder = stand.version("digits/1", manifest=False, broken="half a copy")
    await stand.step()
    (folder / "broken").unlink()
    await stand.step()
    assert stand.states() == {1: "END"}
    await stand.step()

    assert stand.states() == {1: "AVAILABLE"}


async def test_a_manifest_that_comes_late_has_the_version_loaded_again_while_it_answers(stand: RepositoryStand) -> None:
    stand.version("digits/7", manifest=False)
    await stand.step()
    stand.executor.holds = lambda function: function is stand.loads
    old = stand.loads.backends["digits/7"]
    with stand.manager.resolve("digits") as in_flight:
        stand.version("digits/7")
        await stand.step(loads=0)
        assert stand.states() == {7: "LOADING"}
        assert stand.manager.not_ready() == []
        assert stand.manager.resolve("digits") is stand.manager.resolve("digits", 7) is in_flight
        await stand.load_next()
        assert stand.states() == {7: "AVAILABLE"}
        assert stand.manager.resolve("digits") is stand.manager.resolve("digits", 7) is not in_flight
        stand.executor.holds = lambda _: False
        answer = await in_flight.run("serving_default", {"x": np.float32([5])})
        assert (answer["y"].tolist(), old.closed) == ([5], 0)
    await turn()

    assert (old.closed, stand.closed("digits/7")) == (1, 0)


async def test_a_longer_copy_of_a_model_is_loaded_once_it_has_settled(stand: RepositoryStand) -> None:
    folder = stand.version("digits/7", manifest=False)
    await stand.step()
    for size in (1, 2):
        (folder / "model.onnx").write_bytes(bytes(size))
        await stand.step()
        assert len(stand.loads.begun) == 1
    for _ in range(3):
        await stand.step()

    assert len(stand.loads.begun) == 2
    assert stand.states() == {7: "AVAILABLE"}


async def test_changed_files_that_are_bad_leave_what_answers_until_they_change_again(
    stand: RepositoryStand, caplog: pytest.LogCaptureFixture
) -> None:
    folder = stand.version("digits/7", manifest=False)
    await stand.step()
    stand.version("digits/7", broken="labels.txt is missing")
    for _ in range(3):
        await stand.step()
    assert (stand.served(), stand.states(), len(stand.loads.begun)) == (7, {7: "AVAILABLE"}, 2)
    assert stand.manager.statuses("digits", 7)[0].error == "labels.txt is missing"
    assert "keeps answering as it was, its changed files are no better: labels.txt is missing" in caplog.text
    (folder / "broken").unlink()
    await stand.step()

    assert stand.manager.statuses("digits", 7)[0] == (7, State.AVAILABLE, None)
    assert len(stand.loads.begun) == 3


async def test_a_version_whose_changed_files_were_bad_is_unloaded_and_served_again_as_any_other(
    stand: RepositoryStand,
) -> None:
    stand.version("digits/7", manifest=False)
    await stand.step()
    broken = stand.version("digits/7", broken="bad") / "broken"
    await stand.step()
    stand.version("digits/8")
    await stand.step()
    assert stand.manager.statuses("digits", 7)[0] == (7, State.END, None)
    broken.unlink()
    shutil.rmtree(stand.root / "digits" / "8")
    await stand.step()

    assert (stand.served(), stand.states()) == (7, {7: "AVAILABLE"})


async def test_a_version_that_is_replaced_while_it_is_loaded_again_is_unloaded_after_that(
    stand: RepositoryStand,
) -> None:
    stand.version("digits/7", manifest=False)
    await stand.step()
    old = stand.loads.backends["digits/7"]
    stand.version("digits/7")
    await stand.step(loads=0)
    stand.version("digits/8")
    await stand.step(loads=0)
    while stand.executor.kept:
        await stand.load_next()

    assert (stand.served(), stand.states()) == (8, {8: "AVAILABLE", 7: "END"})
    assert (old.closed, stand.closed("digits/7"), stand.closed("digits/8")) == (1, 1, 0)


async def test_a_published_version_is_not_loaded_again_whatever_happens_to_its_files(stand: RepositoryStand) -> None:
    folder = stand.version("digits/1", labels="a")
    await stand.step()
    (folder / "labels").write_text("another")
    (folder / "manifest.json").write_text("edited")
    for _ in range(3):
        await stand.step()

    assert len(stand.loads.begun) == 1
