"""The manager: what becomes of versions and models that are taken away from the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from serving.errors import ModelNotFoundError
from tests.support.repository_stand import RepositoryStand
from tests.support.stepping import turn


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


async def test_an_emptied_model_folder_keeps_serving_and_says_so_once(
    stand: RepositoryStand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.version("digits/1")
    await stand.step()
    assert stand.manager.all_problems() == []
    shutil.rmtree(stand.root / "digits" / "1")
    await stand.step()
    await stand.step()

    assert (stand.served(), stand.states()) == (1, {1: "AVAILABLE"})
    assert stand.manager.not_ready() == []
    told = "digits: no version folder is left; what was loaded before answers until the gateway stops"
    assert stand.manager.all_problems() == [told]
    assert caplog.messages.count(told) == 1
    stand.version("digits/2")
    await stand.step()
    assert stand.manager.all_problems() == []


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
