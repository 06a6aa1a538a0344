"""The manager and a model in a store: fetched, kept while the store is gone, tried again, let go."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import ModelNotFoundError
from serving.model_config import ModelConfig
from serving.repository.loader import Loaded
from serving.repository.looks import look_at
from serving.repository.model_cache import ModelCache
from serving.repository.source import Origin
from serving.repository.store_source import StoreVersion
from tests.support.bundles import write_bundle
from tests.support.memory_store import MemoryStore, UnreachableStore
from tests.support.repository_stand import Configured, Loads, RepositoryStand
from tests.support.stepping import HandClock, HandExecutor, turn


class FetchingLoads(Loads):
    """Fetches as the loader does; what it opens is an echo."""

    def __init__(self, cache: ModelCache) -> None:
        super().__init__()
        self._cache = cache

    def __call__(self, origin: Origin, config: ModelConfig) -> Loaded:
        if not isinstance(origin, StoreVersion):
            return super().__call__(origin, config)
        folder = self._cache.fetch(origin.base_path, origin.name)
        self.begun.append(folder)
        return self.echo(folder)


class Stand(RepositoryStand):
    def __init__(self, root: Path) -> None:
        self.store = MemoryStore()
        self.bundles = root / "bundles"
        self.cache = ModelCache(root / ".cache")
        catalogue = Configured({"digits": ModelConfig(base_path=f"{self.store.address}/digits")})
        super().__init__(root, catalogue, FetchingLoads(self.cache))

    def publish(self, version: int) -> None:
        self.store.upload(write_bundle(self.bundles / str(version)), f"digits/{version}")

    def cached(self) -> set[int]:
        return set(self.cache.versions(f"{self.store.address}/digits"))


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


async def test_versions_are_fetched_served_and_let_go(stand: Stand) -> None:
    stand.publish(1)
    await stand.step()
    assert (stand.served(), stand.cached()) == (1, {1})
    stand.publish(2)
    await stand.step()
    await stand.step()

    assert (stand.served(), stand.states(), stand.cached()) == (2, {2: "AVAILABLE", 1: "END"}, {2})


async def test_what_is_served_stays_while_the_store_is_gone(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.publish(1)
    await stand.step()
    with UnreachableStore(monkeypatch):
        await stand.step()
        await stand.step()
        assert (stand.served(), stand.cached()) == (1, {1})
    stand.publish(2)
    await stand.step()
    assert stand.served() == 2


async def test_a_load_that_the_store_has_failed_is_tried_again_by_itself(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    clock = HandClock(asyncio.get_running_loop())
    stand.publish(1)
    await stand.step(loads=0)
    with UnreachableStore(monkeypatch):
        await stand.load_next()
    assert stand.states() == {1: "END"}
    assert stand.manager.not_ready() == ["digits: version 1: the store cannot be used: the network is gone"]
    await stand.step()
    assert stand.states() == {1: "END"}
    clock.now += 3.0
    await stand.step()

    assert (stand.served(), stand.states()) == (1, {1: "AVAILABLE"})


async def test_a_start_without_the_store_serves_what_was_fetched_before(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.publish(1)
    await stand.step()
    again = RepositoryStand(stand.root, Configured(stand.manager.configs()), FetchingLoads(stand.cache))
    with UnreachableStore(monkeypatch):
        await again.step()
        assert again.served() == 1


async def test_no_version_of_this_disk_waits_for_one_that_is_fetched(stand: Stand) -> None:
    stand.publish(1)
    fetches = HandExecutor()
    models = {
        "digits": ModelConfig(base_path=f"{stand.store.address}/digits"),
        "fashion": ModelConfig(base_path=str(stand.root / "fashion")),
    }
    both = RepositoryStand(stand.root, Configured(models), FetchingLoads(stand.cache), fetch_executor=fetches)
    both.version("fashion/1")
    await both.step()
    assert (both.served("fashion"), both.states("digits")) == (1, {1: "LOADING"})
    while fetches.kept:
        fetches.run_next()
        await turn()
    assert both.served("digits") == 1


async def test_a_store_that_was_never_reached_is_the_reason(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    with UnreachableStore(monkeypatch):
        await stand.step()
        with pytest.raises(ModelNotFoundError):
            stand.served()
        assert stand.manager.not_ready() == [
            "digits: the base path cannot be looked at: the store cannot be used: the network is gone"
        ]


async def test_a_look_that_is_under_way_at_the_end_is_no_news(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stand.publish(1)
    await stand.step()
    stand.executor.holds = lambda function: function is look_at
    stand.manager.look_soon()
    await turn()
    assert stand.executor.kept
    stand.manager.stop_looking()
    with UnreachableStore(monkeypatch):  # as what it looks into is closed
        while stand.executor.kept:
            stand.executor.run_next()
            await turn()
    assert (stand.served(), stand.manager.all_problems(), caplog.text) == (1, [], "")
