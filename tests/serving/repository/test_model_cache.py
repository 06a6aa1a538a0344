"""The cache of what is fetched from stores: whole and checked, bounded, shared."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.errors import BundleError, UnreachableError
from serving.repository.lease import Lease
from serving.repository.model_cache import ModelCache
from tests.support.bundles import damage, write_bundle
from tests.support.memory_store import MemoryStore, UnreachableStore


class Stand:
    def __init__(self, root: Path) -> None:
        self.store = MemoryStore()
        self.base_path = f"{self.store.address}/digits"
        self.folder = root / "cache"
        self.cache = ModelCache(self.folder)
        self.bundles = root / "bundles"

    def publish(self, version: int, *, broken: bool = False) -> None:
        bundle = write_bundle(self.bundles / str(version), scale=float(version))
        if broken:
            damage(bundle)
        self.store.upload(bundle, f"digits/{version}")

    def fetch(self, version: int) -> Path:
        return self.cache.fetch(self.base_path, str(version))

    def here(self) -> list[str]:
        """All names in the model's folder of the cache."""
        (model,) = self.folder.iterdir()
        return sorted(path.name for path in model.iterdir())


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_version_is_fetched_whole_and_only_once(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.publish(3)
    folder = stand.fetch(3)
    assert content(folder) == content(stand.bundles / "3")
    assert stand.here() == [".lock", "3", "3.fetched"]
    before = folder.stat().st_ino

    assert stand.fetch(3) == folder
    assert folder.stat().st_ino == before


def test_what_does_not_fit_its_manifest_is_refused_and_leaves_nothing(stand: Stand) -> None:
    stand.publish(3, broken=True)
    with pytest.raises(BundleError, match=r"^model\.onnx has checksum "):
        stand.fetch(3)

    assert stand.here() == [".lock"]


def test_a_fetched_version_that_the_disk_has_damaged_is_fetched_again(stand: Stand) -> None:
    stand.publish(3)
    damage(stand.fetch(3))

    assert content(stand.fetch(3)) == content(stand.bundles / "3")


def test_a_version_whose_objects_have_changed_is_fetched_again(stand: Stand) -> None:
    stand.store.write("digits/3/model.onnx", b"first")
    assert content(stand.fetch(3)) == {"model.onnx": b"first"}
    stand.store.write("digits/3/model.onnx", b"other")

    assert content(stand.fetch(3)) == {"model.onnx": b"other"}


def test_a_version_that_is_gone_from_the_store_is_refused(stand: Stand) -> None:
    with pytest.raises(BundleError, match="no longer in the store"):
        stand.fetch(3)


def test_an_unreachable_store_is_worth_another_try_unless_the_version_is_here(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.publish(3)
    with UnreachableStore(monkeypatch), pytest.raises(UnreachableError):
        stand.fetch(3)
    folder = stand.fetch(3)
    with UnreachableStore(monkeypatch):
        assert stand.fetch(3) == folder


def test_a_disk_that_refuses_is_worth_another_try(stand: Stand) -> None:
    stand.publish(3)
    stand.folder.write_text("no folder")
    with pytest.raises(UnreachableError, match=r"^the version cannot be fetched: "):
        stand.fetch(3)


def test_what_is_not_needed_leaves_the_cache_and_so_does_what_the_dead_have_left(stand: Stand) -> None:
    for version in (1, 2, 3):
        stand.publish(version)
        stand.fetch(version)
    (model,) = stand.folder.iterdir()
    (model / ".fetching-dead" / "4").mkdir(parents=True)
    stand.cache.retain(stand.base_path, {2})

    assert stand.here() == [".lock", "2", "2.fetched"]
    assert stand.cache.versions(stand.base_path) == {2: "2"}


def test_what_a_gateway_holds_stays_until_it_lets_go(stand: Stand) -> None:
    stand.publish(1)
    lease = Lease.take(stand.fetch(1))
    stand.cache.retain(stand.base_path, set())
    assert stand.here() == [".lock", "1", "1.fetched"]
    lease.close()
    stand.cache.retain(stand.base_path, set())

    assert stand.here() == [".lock"]


def test_models_of_other_addresses_are_left_alone(stand: Stand, tmp_path: Path) -> None:
    stand.publish(1)
    folder = stand.fetch(1)
    stand.cache.retain("memory://elsewhere/digits", set())

    assert folder.is_dir()
    assert stand.cache.models(stand.store.address) == ["digits"]
    assert stand.cache.models("memory://elsewhere") == []


def test_of_many_who_want_a_version_one_fetches_it(stand: Stand) -> None:
    stand.publish(3)
    with ThreadPoolExecutor(8) as threads:
        folders = list(threads.map(lambda _: ModelCache(stand.folder).fetch(stand.base_path, "3"), range(16)))

    assert len(set(folders)) == 1
    assert content(folders[0]) == content(stand.bundles / "3")


def test_it_lies_where_it_is_told_or_among_the_users_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def folder(given: Path | None = None) -> Path:
        return ModelCache.at(given)._folder

    assert folder(tmp_path) == tmp_path
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder() == tmp_path / "atelier" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert folder() == tmp_path / "home" / ".cache" / "atelier" / "models"
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert folder() == Path(tempfile.gettempdir()) / f"atelier-{os.getuid()}" / "atelier" / "models"
