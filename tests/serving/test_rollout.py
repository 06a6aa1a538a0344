"""Changes of labels and traffic, as far as they need no running gateway."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.errors import ConflictError
from serving.model_config import ModelConfig
from serving.repository.stored_routing import StoredFiles
from serving.rollout import Rollout
from tests.support.repository_stand import Configured, RepositoryStand


async def test_labels_of_a_model_in_a_store_need_a_folder_of_the_gateways_own_and_say_so(tmp_path: Path) -> None:
    stand = RepositoryStand(tmp_path, Configured({"digits": ModelConfig(base_path="memory://models/digits")}))
    await stand.step()

    async def no_figures() -> list[object]:
        return []

    rollout = Rollout(stand.manager, StoredFiles(), stand.executor, no_figures)  # type: ignore[arg-type]
    with pytest.raises(
        ConflictError, match=r"^the versions of digits are not on .* start the gateway with --state-dir"
    ):
        await rollout.move_label("digits", "stable", 1, by="somebody", force=True)
    kept = Rollout(stand.manager, StoredFiles(tmp_path / "state"), stand.executor, no_figures)  # type: ignore[arg-type]
    await kept.move_label("digits", "stable", 1, by="somebody", force=True)
    assert (tmp_path / "state" / "digits" / "labels.json").exists()


async def test_a_change_whose_client_leaves_is_carried_out_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stand = RepositoryStand(tmp_path, Configured({"digits": ModelConfig(base_path="memory://models/digits")}))
    await stand.step()

    async def no_figures() -> list[object]:
        return []

    may_go_on = threading.Event()
    with ThreadPoolExecutor(1) as executor, caplog.at_level(logging.INFO, "atelier.rollout"):
        executor.submit(may_go_on.wait)
        rollout = Rollout(stand.manager, StoredFiles(tmp_path / "state"), executor, no_figures)  # type: ignore[arg-type]
        change = asyncio.create_task(rollout.move_label("digits", "stable", 1, by="somebody", force=True))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        change.cancel()
        with pytest.raises(asyncio.CancelledError):
            await change
        (carried_out,) = rollout._running
        may_go_on.set()
        await carried_out
    assert (tmp_path / "state" / "digits" / "labels.json").exists()
    assert "by somebody" in caplog.text
