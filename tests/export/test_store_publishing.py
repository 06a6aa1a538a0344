"""Publishing into a store: the rules, on fsspec's store in memory."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from export import claims, store_publishing
from export.errors import ExportError, WrongUseError
from export.location import parse_location
from export.publish import check_target, stage
from export.store import Store
from serving.bundle import read_manifest, verify_files
from serving.bundle_files import MANIFEST, SAVED_MODEL
from serving.errors import BundleError
from tests.export.publisher import BUNDLE_FILES, half_written, write_bundle

_addresses = itertools.count()


class DiedError(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@pytest.fixture
def models() -> Path:
    """The address of an empty repository."""
    return parse_location(f"memory://remote-{next(_addresses)}/models")


@pytest.fixture
def store(models: Path) -> Store:
    return Store(models / "clothes")


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where bundles are built."""
    monkeypatch.setattr(store_publishing.tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every object that is made or removed, in order; a hook may be hung in front of each."""
    return record_writes(monkeypatch, lambda _: None)


def record_writes(monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None]) -> Any:
    made: list[str] = []
    for method in ("cp_file", "pipe_file", "put_file", "rm_file"):
        original = getattr(MemoryFileSystem, method)

        def recording(self: Any, *names: Any, _original: Any = original, _method: str = method, **options: Any) -> Any:
            before(len(made))
            made.append(f"{_method} {names[0] if _method in {'pipe_file', 'rm_file'} else names[1]}")
            return _original(self, *names, **options)

        monkeypatch.setattr(MemoryFileSystem, method, recording)
    return made


def publish_one(models: Path, version: int | None = None) -> Path:
    with stage(models, "clothes") as staging:
        write_bundle(staging.bundle)
        return staging.publish(version)


def check_whole(models: Path) -> list[str]:
    """The names below the model; every numbered one among them holds a version that fits its manifest."""
    names = Store(models / "clothes").children()
    for name in names:
        if name.isdigit():
            manifest = read_manifest(models / "clothes" / name)
            assert manifest is not None, f"version {name} has no manifest"
            verify_files(models / "clothes" / name, manifest)
    return names


def test_versions_are_numbered_in_order_and_hold_what_was_staged(models: Path, scratch: Path) -> None:
    paths = [publish_one(models) for _ in range(3)]

    assert [str(path) for path in paths] == [f"{models}/clothes/{number}" for number in "123"]
    assert [path.name for path in paths] == ["1", "2", "3"]
    assert check_whole(models) == [".versions", "1", "2", "3"]
    assert not list(scratch.rglob(".publishing-*"))


def test_what_makes_a_version_loadable_appears_last(models: Path, writes: list[str]) -> None:
    publish_one(models)

    visible = [write.rpartition("/clothes/1/")[2] for write in writes if "/clothes/1/" in write]
    assert visible[-2:] == [SAVED_MODEL, MANIFEST]
    assert set(visible) == {*BUNDLE_FILES, MANIFEST}
    assert len(visible) == len(BUNDLE_FILES) + 1
    claimed = next(index for index, write in enumerate(writes) if "/.versions/1" in write)
    uploaded = next(index for index, write in enumerate(writes) if write.endswith(f"/bundle/{MANIFEST}"))
    shown = next(index for index, write in enumerate(writes) if "/clothes/1/" in write)
    assert uploaded < claimed < shown


def test_a_number_may_be_asked_for_and_is_given_once(models: Path) -> None:
    assert publish_one(models, 41).name == "41"
    assert publish_one(models).name == "42"
    assert publish_one(models, 7).name == "7"
    with pytest.raises(WrongUseError, match="version 7 of clothes exists already in memory://"):
        publish_one(models, 7)
    with pytest.raises(WrongUseError, match="version 41 of clothes exists already in memory://"):
        check_target(models, "clothes", 41)
    assert check_whole(models) == [".versions", "41", "42", "7"]


def test_the_number_of_a_removed_version_is_not_given_again(models: Path, store: Store) -> None:
    publish_one(models)
    publish_one(models)
    store.remove("2")

    assert publish_one(models).name == "3"
    with pytest.raises(WrongUseError, match="version 2 of clothes exists already"):
        publish_one(models, 2)


def test_numbers_that_others_have_uploaded_are_taken(models: Path, store: Store) -> None:
    store.write("12/saved_model.pb", b"theirs")

    assert publish_one(models).name == "13"
    with pytest.raises(WrongUseError, match="version 12 of clothes exists already"):
        publish_one(models, 12)
    assert store.sizes("12") == {"saved_model.pb": 6}


def test_a_publisher_may_die_before_any_write_and_the_next_goes_on(
    models: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = 0
    for moment in itertools.count():
        with monkeypatch.context() as patched:
            record_writes(patched, lambda count, moment=moment: die(count >= moment))
            with contextlib.suppress(DiedError):
                publish_one(models)
                break
        check_readers(store)
        publish_one(models)
        finished += 1

    assert moment > 20
    check_whole(models)
    # Some had been decided when they died: those were finished by the next.
    assert finished + 1 < len(store.children(claims.CLAIMS)) <= 2 * finished + 1


def test_an_upload_that_is_abandoned_for_a_day_is_removed(
    models: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, contextlib.suppress(DiedError):
        record_writes(patched, lambda count: die(count >= 3))
        publish_one(models)
    publish_one(models)
    young = check_whole(models)
    for name, file in MemoryFileSystem.store.items():
        if "/.publishing-" in name:
            file.modified = datetime.now(UTC) - timedelta(hours=25)
    publish_one(models)

    assert len([name for name in young if name.startswith(".publishing-")]) == 1
    assert check_whole(models) == [".versions", "1", "2"]


def test_two_may_finish_the_same_version(models: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one takes a living publisher for dead, at every moment from its decision on."""
    for moment in itertools.count():
        others = 0

        def interfere(count: int, moment: int = moment) -> None:
            nonlocal others
            if count == moment and not others:
                others += 1
                store_publishing.recover(Store(models / "clothes"))

        with monkeypatch.context() as patched:
            record_writes(patched, interfere)
            publish_one(models)
        check_readers(store)
        if not others:
            break

    assert moment > 20
    assert check_whole(models) == sorted([".versions", *map(str, range(1, moment + 2))])


def test_what_came_back_changed_is_not_published(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = MemoryFileSystem.put_file

    def spoil(self: Any, source: str, target: str, **options: Any) -> None:
        original(self, source, target, **options)
        if target.endswith("part-3"):
            self.pipe_file(target, bytes(4096))

    monkeypatch.setattr(MemoryFileSystem, "put_file", spoil)
    with pytest.raises(BundleError, match=r"variables/part-3 has checksum .* but manifest\.json expects"):
        publish_one(models)

    assert Store(models / "clothes").children() == []


def test_a_bundle_that_does_not_fit_its_manifest_is_not_uploaded(models: Path, writes: list[str]) -> None:
    with stage(models, "clothes") as staging:
        write_bundle(staging.bundle)
        (staging.bundle / "variables" / "part-3").write_bytes(b"cut")
        with pytest.raises(BundleError, match=r"variables/part-3 has 3 bytes, but manifest\.json expects 4096"):
            staging.publish()

    assert writes == []


def test_a_store_that_fails_after_the_decision_is_finished_by_the_next(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = MemoryFileSystem.cp_file

    def fail(self: Any, source: str, target: str, **options: Any) -> None:
        if "/clothes/1/" in target:
            raise PermissionError("Access Denied")
        original(self, source, target, **options)

    with monkeypatch.context() as patched:
        patched.setattr(MemoryFileSystem, "cp_file", fail)
        with pytest.raises(ExportError, match=r"version 1 of clothes is uploaded, but not all .*\(Access Denied\)"):
            publish_one(models)

    assert publish_one(models).name == "2"
    assert check_whole(models) == [".versions", "1", "2"]


def test_a_store_that_cannot_copy_is_refused_before_anything_is_decided(
    models: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: Any, **__: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(MemoryFileSystem, "cp_file", cannot)

    with pytest.raises(ExportError, match="clothes: this store cannot copy objects by itself, which publishing needs"):
        publish_one(models)
    assert store.children() == []


def test_a_scratch_folder_of_another_user_is_refused(models: Path, scratch: Path) -> None:
    (scratch / "elsewhere").mkdir()
    (scratch / f"atelier-{os.getuid()}").symlink_to(scratch / "elsewhere")

    with pytest.raises(WrongUseError, match="belongs to another user: set TMPDIR"), stage(models, "clothes"):
        pass


class ForgetfulFileSystem(MemoryFileSystem):
    """A server that ignores the condition of a conditional write."""

    protocol = "forgetful"

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        super().pipe_file(path, value, **options)


@pytest.mark.parametrize("known", [True, False])
def test_a_store_that_cannot_refuse_is_found_out(store: Store, monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    assert claims.can_refuse(store, "probe")
    store._filesystem = ForgetfulFileSystem()
    if known:
        monkeypatch.setattr(claims, "REFUSING", frozenset({"forgetful"}))

    assert not claims.can_refuse(store, "other-probe")


def test_where_the_store_cannot_refuse_publishers_look_after_they_wrote(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "REFUSING", frozenset())

    assert [publish_one(models).name for _ in range(2)] == ["1", "2"]
    with pytest.raises(WrongUseError, match="version 2 of clothes exists already"):
        publish_one(models, 2)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        names = {path.name for path in threads.map(lambda _: publish_one(models), range(8))}

    assert len(names) == 8
    assert {name for name in check_whole(models) if name.isdigit()} == {"1", "2", *names}


def test_an_upload_that_its_publisher_removes_while_another_looks_at_it_keeps_nobody_from_publishing(
    models: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(".publishing-other/bundle/manifest.json", b"{}")
    listed = Store.sizes

    def listed_just_before(self: Store, prefix: str = "") -> dict[str, int]:
        found = listed(self, prefix)
        if prefix == ".publishing-other":
            self.remove(prefix)
        return found

    monkeypatch.setattr(Store, "sizes", listed_just_before)
    assert publish_one(models).name == "1"


def test_a_rival_who_only_wants_the_number_keeps_others_from_it_but_gets_nothing(store: Store) -> None:
    store.write(f"{claims.CLAIMS}/1.dead", claims.WANTED)

    assert not claims.claim(store, 1, "mine", refuses=False)
    assert claims.owner_of(store, 1) is None
    assert claims.claimed_numbers(store) == {1}
    assert claims.claim(store, 2, "mine", refuses=False)
    assert claims.owner_of(store, 2) == "mine"


def test_a_claim_whose_answer_was_lost_is_still_its_owners(store: Store) -> None:
    assert claims.claim(store, 1, "mine", refuses=True)
    assert claims.claim(store, 1, "mine", refuses=True)
    assert not claims.claim(store, 1, "theirs", refuses=True)


def die(now: bool) -> None:
    if now:
        raise DiedError


def check_readers(store: Store) -> None:
    assert half_written(store.sizes()) == []
