"""The manager: what is loaded and unloaded, in which order, and what keeps answering meanwhile."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest

from serving.errors import BundleError, InvalidInputError, ModelNotFoundError
from serving.observability.exposition import expose
from serving.repository.manager import Manager
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


async def test_a_version_that_fails_is_quarantined_with_its_reason_while_the_old_one_answers(
    stand: RepositoryStand,
) -> None:
    stand.version("digits/1")
    await stand.step()
    stand.version("digits/2", broken="model.onnx has 3 bytes")
    await stand.step()

    assert (stand.served(), stand.states()) == (1, {2: "END", 1: "AVAILABLE"})
    assert stand.manager.statuses("digits", 2)[0].error == "model.onnx has 3 bytes"
    assert stand.manager.not_ready() == []
    assert 'atelier_load_failures_total{model_name="digits"} 1.0' in expose(stand.metrics.figures())


async def test_a_quarantined_version_is_tried_again_only_when_its_files_change(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    folder = stand.version("digits/2", broken="bad")
    await stand.step()
    await stand.step()
    assert [path.name for path in stand.loads.begun] == ["2", "1"]
    (folder / "broken").write_text("still bad")
    await stand.step()
    assert stand.manager.statuses("digits", 2)[0].error == "still bad"
    assert stand.served() == 1
    (folder / "broken").unlink()
    await stand.step()

    assert (stand.served(), stand.states()) == (2, {2: "AVAILABLE", 1: "END"})


async def test_files_that_change_while_they_are_loaded_are_tried_again(stand: RepositoryStand) -> None:
    folder = stand.version("digits/1", broken="half a copy")
    await stand.step(loads=0)
    (folder / "more").touch()
    await stand.load_next()
    assert stand.states() == {1: "END"}
    (folder / "broken").unlink()
    await stand.step()

    assert stand.states() == {1: "AVAILABLE"}


async def test_an_unexpected_failure_is_quarantined_too_without_its_words(
    stand: RepositoryStand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.version("digits/1", crash="")
    await stand.step()

    assert stand.manager.statuses("digits")[0].error == "loading failed: RuntimeError"
    assert "not for clients" in caplog.text


async def test_at_a_fresh_start_with_a_broken_newest_version_the_next_older_one_is_served(
    stand: RepositoryStand,
) -> None:
    stand.version("digits/1")
    stand.version("digits/2")
    stand.version("digits/3", broken="three is bad")
    await stand.step()

    assert (stand.served(), stand.states()) == (2, {3: "END", 2: "AVAILABLE"})


async def test_when_every_version_is_broken_the_reasons_are_all_told(stand: RepositoryStand) -> None:
    stand.version("digits/1", broken="one is bad")
    stand.version("digits/2", broken="two is bad")
    await stand.step()

    assert stand.manager.not_ready() == ["digits: version 2: two is bad; version 1: one is bad"]


async def test_when_all_that_is_left_on_disk_is_broken_the_old_version_keeps_answering(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step()
    shutil.rmtree(stand.root / "digits" / "1")
    stand.version("digits/2", broken="bad")
    await stand.step()
    await stand.step()

    assert (stand.served(), stand.states()) == (1, {2: "END", 1: "AVAILABLE"})
    (stand.root / "digits" / "2" / "broken").unlink()
    await stand.step()
    assert (stand.served(), stand.states()) == (2, {2: "AVAILABLE"})


async def test_deleting_the_newest_version_rolls_back_without_a_gap(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step()
    stand.version("digits/2")
    await stand.step()
    shutil.rmtree(stand.root / "digits" / "2")
    await stand.step(loads=0)
    assert (stand.served(), stand.states()) == (2, {2: "AVAILABLE", 1: "LOADING"})
    await stand.load_next()

    assert (stand.served(), stand.states()) == (1, {1: "AVAILABLE"})
    assert stand.closed("digits/2") == 1


async def test_a_rollback_to_a_version_that_is_still_unloading_waits_for_it(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step()
    with stand.manager.resolve("digits"):
        stand.version("digits/2")
        await stand.step()
        shutil.rmtree(stand.root / "digits" / "2")
        await stand.step()
        assert (stand.served(), stand.states()) == (2, {2: "AVAILABLE", 1: "UNLOADING"})
    await turn()
    await stand.load_next()

    assert (stand.served(), stand.states()) == (1, {1: "AVAILABLE"})


async def test_an_emptied_model_folder_keeps_serving(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step()
    shutil.rmtree(stand.root / "digits" / "1")
    await stand.step()

    assert (stand.served(), stand.states()) == (1, {1: "AVAILABLE"})
    assert stand.manager.not_ready() == []


async def test_an_emptied_base_path_keeps_serving(tmp_path: Path) -> None:
    stand = RepositoryStand(tmp_path / "digits")
    stand.version("1")
    await stand.step()
    shutil.rmtree(tmp_path / "digits" / "1")
    await stand.step()
    assert stand.served() == 1
    stand.version("copying")
    await stand.step()
    assert stand.served() == 1
    (tmp_path / "digits" / "copying").rename(tmp_path / "digits" / "2")
    await stand.step()

    assert (stand.served(), stand.names()) == (2, ["digits"])


async def test_a_removed_model_is_unloaded_and_forgotten(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    stand.version("fashion/1")
    await stand.step()
    shutil.rmtree(stand.root / "digits")
    with stand.manager.resolve("digits"):
        await stand.step()
        assert stand.manager.not_ready() == []
        with pytest.raises(ModelNotFoundError):
            stand.manager.resolve("digits")
        assert stand.closed("digits/1") == 0
    await turn()

    assert stand.closed("digits/1") == 1
    assert stand.names() == ["fashion"]
    assert stand.served("fashion") == 1


async def test_a_model_that_is_removed_while_it_loads_is_unloaded_once(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step()
    stand.version("digits/2")
    await stand.step(loads=0)
    shutil.rmtree(stand.root / "digits")
    await stand.manager.step()
    stand.executor.run_next()  # in the same turn of the loop
    await turn()

    assert (stand.closed("digits/1"), stand.closed("digits/2")) == (1, 1)
    assert stand.names() == []


async def test_a_removed_model_comes_back(stand: RepositoryStand) -> None:
    stand.version("digits/1")
    await stand.step()
    shutil.rmtree(stand.root / "digits")
    await stand.step()
    stand.version("digits/1")
    await stand.step()

    assert stand.served() == 1
    assert len(stand.loads.begun) == 2


async def test_a_models_folder_that_cannot_be_read_changes_nothing(
    stand: RepositoryStand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.version("digits/1")
    await stand.step()
    stand.root.rename(stand.root.with_name("gone"))
    await stand.step()

    assert (stand.served(), stand.states()) == (1, {1: "AVAILABLE"})
    assert "the models cannot be listed: No such file or directory; what is served stays as it is" in caplog.text


async def test_a_file_that_cannot_be_looked_at_hinders_no_other_version(stand: RepositoryStand) -> None:
    (stand.version("digits/1", broken="bad") / "loop").symlink_to("loop")
    await stand.step()
    stand.version("fashion/1")
    await stand.step()

    assert stand.served("fashion") == 1


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


async def test_a_look_that_fails_unexpectedly_does_not_end_the_watch(
    stand: RepositoryStand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = 0

    async def look(_: Manager) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise ZeroDivisionError
        raise asyncio.CancelledError

    monkeypatch.setattr(Manager, "look", look)
    with pytest.raises(asyncio.CancelledError):
        await stand.manager.watch(0)
    assert "looking for models failed" in caplog.text


async def test_what_is_loaded_and_cannot_be_served_is_given_back(
    stand: RepositoryStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BundleError("its batching does not go with the gateway's")

    monkeypatch.setattr(stand.manager, "_serve", refuse)
    stand.version("digits/1")
    await stand.step()

    assert stand.manager.statuses("digits")[0].error == "its batching does not go with the gateway's"
    assert stand.closed("digits/1") == 1
