"""The manager: what becomes of versions that cannot be loaded, and of everybody else."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from serving.errors import BundleError
from serving.observability.exposition import expose
from serving.repository.manager import Manager
from tests.support.repository_stand import RepositoryStand


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


async def test_a_figure_says_which_versions_cannot_be_loaded_for_as_long_as_that_is_so(stand: RepositoryStand) -> None:
    def shown() -> list[str]:
        return [
            line for line in expose(stand.metrics.figures()).splitlines() if line.startswith("atelier_version_load_")
        ]

    stand.version("digits/1")
    mended, removed = (stand.version(f"digits/{version}", broken="bad") for version in (2, 3))
    await stand.step()
    assert shown() == [f'atelier_version_load_error{{model_name="digits",version="{version}"}} 1.0' for version in "32"]
    shutil.rmtree(removed)
    (mended / "broken").unlink()
    await stand.step()

    assert stand.served() == 2
    assert shown() == []


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


async def test_a_file_that_cannot_be_looked_at_hinders_no_other_version(stand: RepositoryStand) -> None:
    (stand.version("digits/1", broken="bad") / "loop").symlink_to("loop")
    await stand.step()
    stand.version("fashion/1")
    await stand.step()

    assert stand.served("fashion") == 1


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


async def test_what_is_loaded_and_cannot_be_served_is_given_back(stand: RepositoryStand) -> None:
    stand.refusal = BundleError("its batching does not go with the gateway's")
    stand.version("digits/1")
    await stand.step()

    assert stand.manager.statuses("digits")[0].error == "its batching does not go with the gateway's"
    assert stand.closed("digits/1") == 1
