"""Which versions of a model in a store are whole, and what a gateway makes of a store that is out of reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import UnreachableError
from serving.repository.model_cache import ModelCache
from serving.repository.scanned_store import ScannedStore
from serving.repository.store import Store, is_address, local_path
from serving.repository.store_source import StoreSource, StoreVersion
from tests.support.bundles import write_bundle
from tests.support.memory_store import MemoryStore, UnreachableStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    return ModelCache(tmp_path / "cache")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundles" / "1")


def source(store: MemoryStore, cache: ModelCache, every_s: float = 0.0) -> StoreSource:
    return StoreSource(f"{store.address}/digits", cache, every_s)


def test_versions_are_the_numbers_with_a_manifest(store: MemoryStore, cache: ModelCache, bundle: Path) -> None:
    store.upload(bundle, "digits/3")
    store.upload(bundle, "digits/4", manifest=False)
    store.write("digits/notes/5", b"")
    found = source(store, cache).look()

    assert found.origins == {3: StoreVersion(f"{store.address}/digits", "3")}
    assert found.origins[3].fingerprint().is_whole


def test_a_claimed_version_is_seen_when_its_manifest_comes(store: MemoryStore, cache: ModelCache, bundle: Path) -> None:
    store.upload(bundle, "digits/3", manifest=False)
    looks = source(store, cache)
    assert looks.look().origins == {}
    store.upload(bundle, "digits/3")

    assert set(looks.look().origins) == {3}


def test_a_number_that_export_did_not_give_counts_without_a_manifest_but_is_not_whole(
    store: MemoryStore, cache: ModelCache, bundle: Path
) -> None:
    store.upload(bundle, "digits/3", claimed=False, manifest=False)
    found = source(store, cache).look()

    assert set(found.origins) == {3}
    assert not found.origins[3].fingerprint().is_whole


def test_labels_are_read_and_followed(store: MemoryStore, cache: ModelCache, bundle: Path) -> None:
    store.upload(bundle, "digits/3")
    looks = source(store, cache)
    assert looks.look().labels == {}
    store.write("digits/labels.json", b'{"stable": 3}')
    assert looks.look().labels == {"stable": 3}
    store.write("digits/labels.json", b"{")
    found = looks.look()

    assert set(found.origins) == {3}
    assert found.problem is not None
    assert found.problem.startswith("labels.json is not valid: ")


def test_a_look_counts_for_a_while(store: MemoryStore, cache: ModelCache, bundle: Path) -> None:
    store.upload(bundle, "digits/3")
    looks = source(store, cache, every_s=3600.0)
    first = looks.look()
    store.upload(bundle, "digits/4")

    assert looks.look() is first


def test_a_store_out_of_reach_raises_with_its_reason(
    store: MemoryStore, cache: ModelCache, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.upload(bundle, "digits/3")
    looks = source(store, cache)
    looks.look()
    with UnreachableStore(monkeypatch), pytest.raises(UnreachableError, match="the store cannot be used: the network"):
        looks.look()


def test_a_start_while_the_store_is_out_of_reach_finds_what_was_fetched_before(
    store: MemoryStore, cache: ModelCache, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.upload(bundle, "digits/3")
    cache.fetch(f"{store.address}/digits", "3")
    with UnreachableStore(monkeypatch):
        found = source(store, cache).look()
        scanned = ScannedStore(store.address, cache, 0.0).read()
        assert found.origins == {3: StoreVersion(f"{store.address}/digits", "3")}
        assert found.problem is not None
        assert cache.fetch(f"{store.address}/digits", "3").joinpath("model.onnx").is_file()
    assert {name: config.base_path for name, config in scanned.items()} == {"digits": f"{store.address}/digits"}


def test_a_folder_of_models_is_scanned_and_a_base_path_is_one_model(store: MemoryStore, bundle: Path) -> None:
    store.upload(bundle, "digits/3")
    store.upload(bundle, "shop.v2/1")
    store.write("models.config", b"")
    cache = ModelCache(Path("/nowhere"))

    models = ScannedStore(store.address, cache, 0.0).read()
    assert {name: config.base_path for name, config in models.items()} == {
        "digits": f"{store.address}/digits",
        "shop.v2": f"{store.address}/shop.v2",
    }
    alone = ScannedStore(f"{store.address}/digits", cache, 0.0).read()
    assert {name: config.base_path for name, config in alone.items()} == {"digits": f"{store.address}/digits"}


def test_an_address_of_an_unknown_kind_is_refused_in_a_sentence() -> None:
    with pytest.raises(UnreachableError, match=r"^no store is known for ftpx://"):
        Store("ftpx://bucket/models")


@pytest.mark.parametrize(
    ("base_path", "remote"), [("s3://bucket/models", True), ("/models", False), ("file:///models", False)]
)
def test_addresses_are_told_from_paths(base_path: str, remote: bool) -> None:
    assert is_address(base_path) is remote
    assert remote or local_path(base_path) == Path("/models")
