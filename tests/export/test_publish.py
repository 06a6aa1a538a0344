"""A version appears whole or not at all, whoever dies or competes meanwhile."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export import publish
from export.errors import ExportError, WrongUseError
from export.publish import stage
from export.versions import next_version, published_versions
from serving.bundle import read_manifest, verify_files
from serving.bundle_files import MANIFEST
from serving.errors import BundleError
from tests.export.publisher import write_bundle
from tests.support.publishers import play


def publish_one(models: Path, version: int | None = None) -> Path:
    with stage(models, "clothes") as staging:
        write_bundle(staging.bundle)
        return staging.publish(version)


def entries(models: Path) -> list[str]:
    return sorted(path.relative_to(models).as_posix() for path in models.glob("*/*"))


def test_versions_are_numbered_in_order_and_hold_what_was_staged(tmp_path: Path) -> None:
    paths = [publish_one(tmp_path) for _ in range(3)]

    assert paths == [tmp_path / "clothes" / number for number in "123"]
    for path in paths:
        manifest = read_manifest(path)
        assert manifest is not None
        verify_files(path, manifest)
    assert entries(tmp_path) == ["clothes/.last-version", "clothes/1", "clothes/2", "clothes/3"]


def test_the_number_of_a_deleted_version_is_not_given_again(tmp_path: Path) -> None:
    publish_one(tmp_path)
    newest = publish_one(tmp_path)
    newest.rename(tmp_path / "moved-away")

    assert publish_one(tmp_path).name == "3"


@given(st.lists(st.integers(0, 10**12)), st.integers(0, 10**12))
def test_the_next_version_is_above_all_others(taken: list[int], last: int) -> None:
    assert next_version(taken, last) > max((*taken, last))


def test_only_integer_names_are_versions(tmp_path: Path) -> None:
    for name in ("1", "007", "12", "-3", "4.5", "latest", ".publishing-9", "٣"):
        (tmp_path / name).mkdir()

    assert published_versions(tmp_path) == [1, 7, 12]


@pytest.mark.parametrize("existing", ["5", "005"])
def test_a_number_that_is_taken_is_refused_even_if_its_folder_is_empty(tmp_path: Path, existing: str) -> None:
    (tmp_path / "clothes" / existing).mkdir(parents=True)

    with pytest.raises(WrongUseError, match=r"version 5 of clothes exists already in .*clothes"):
        publish_one(tmp_path, 5)

    assert entries(tmp_path) in ([f"clothes/{existing}"], ["clothes/.last-version", f"clothes/{existing}"])
    assert list((tmp_path / "clothes" / existing).iterdir()) == []
    assert publish_one(tmp_path).name == "6"


def test_a_number_may_be_asked_for(tmp_path: Path) -> None:
    assert publish_one(tmp_path, 41).name == "41"
    assert publish_one(tmp_path).name == "42"
    assert publish_one(tmp_path, 7).name == "7"
    assert publish_one(tmp_path).name == "43"


@pytest.mark.parametrize("version", [0, -1, 2**63])
def test_a_number_that_no_server_can_read_is_refused(tmp_path: Path, version: int) -> None:
    with pytest.raises(WrongUseError, match="is no version: expected 1 to 9223372036854775807"):
        publish_one(tmp_path, version)


def test_a_stranger_who_takes_the_number_in_the_last_moment_is_evaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "clothes" / "1" / "their-file"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    seen = iter([[], [], [1], [1]])
    monkeypatch.setattr(publish, "published_versions", lambda _: next(seen))

    assert publish_one(tmp_path).name == "2"
    assert theirs.exists()


def test_nothing_is_left_of_an_export_that_fails(tmp_path: Path) -> None:
    models = tmp_path / "repository" / "models"
    with pytest.raises(FileNotFoundError), stage(models, "clothes") as staging:
        (staging.bundle / "missing" / "file").touch()

    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_published_versions_alone(tmp_path: Path) -> None:
    publish_one(tmp_path)
    before = entries(tmp_path)
    with pytest.raises(RuntimeError, match="on the way"), stage(tmp_path, "clothes"):
        raise RuntimeError("on the way")

    assert entries(tmp_path) == before


def test_a_bundle_that_does_not_fit_its_manifest_is_not_published(tmp_path: Path) -> None:
    with stage(tmp_path, "clothes") as staging:
        write_bundle(staging.bundle)
        (staging.bundle / "variables" / "part-3").write_bytes(b"cut")
        with pytest.raises(BundleError, match=r"variables/part-3 has 3 bytes, but manifest\.json expects 4096"):
            staging.publish()

    assert list(tmp_path.iterdir()) == []


def test_a_bundle_without_a_manifest_is_not_published(tmp_path: Path) -> None:
    with stage(tmp_path, "clothes") as staging:
        write_bundle(staging.bundle)
        (staging.bundle / MANIFEST).unlink()
        with pytest.raises(ExportError, match=r"there is no manifest\.json"):
            staging.publish()


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", ".hidden", "-x", "a b", "näme", "a\n"])
def test_a_name_that_could_leave_the_repository_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongUseError, match="is no name for a model"), stage(tmp_path, name):
        pass

    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_dead_publisher_is_removed_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    model_dir = tmp_path / "clothes"
    for name in (".publishing-dead", ".publishing-just-made"):
        (model_dir / name).mkdir(parents=True)
    (model_dir / ".publishing-dead" / "owner.lock").touch()
    (model_dir / ".publishing-dead" / "bundle").mkdir()
    living = model_dir / ".publishing-living"
    living.mkdir()
    with (living / "owner.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        publish_one(tmp_path)

        assert entries(tmp_path) == ["clothes/.last-version", "clothes/.publishing-living", "clothes/1"]

    publish_one(tmp_path)
    assert entries(tmp_path) == ["clothes/.last-version", "clothes/1", "clothes/2"]


def test_a_publisher_killed_before_any_of_its_operations_leaves_only_whole_versions(tmp_path: Path) -> None:
    deaths = play("dying_at_every_operation", tmp_path)

    assert len(deaths) > 50
    assert [death["killed"] for death in deaths] == [True] * (len(deaths) - 1) + [False]
    assert all(death["damaged"] == [] for death in deaths)
    assert deaths[-1]["staging_folders"] == 0
    # Those that were killed after their rename had published already.
    assert len(deaths[-1]["versions"]) > 1


def test_two_publishers_killed_at_random_moments_leave_only_whole_versions(tmp_path: Path) -> None:
    after = play("dying_at_random", tmp_path)

    assert after["damaged"] == []
    assert after["staging_folders"] == 0
    assert after["versions"]


def test_two_publishers_at_once_share_the_numbers(tmp_path: Path) -> None:
    after = play("together", tmp_path)

    assert after == {
        "versions": list(range(1, 41)),
        "damaged": [],
        "staging_folders": 0,
        "statuses": [0, 0],
    }


def test_of_eight_publishers_that_want_the_same_number_one_gets_it(tmp_path: Path) -> None:
    after = play("same_number", tmp_path)

    assert sorted(after["codes"]) == [0] + [2] * 7
    assert (after["versions"], after["damaged"], after["staging_folders"]) == ([7], [], 0)


@pytest.fixture
def small_disk(tmp_path: Path) -> tuple[Path, tuple[str, ...]]:
    """A repository on a disk of 256 KiB, and in front of what command that disk is there; it ends with the command."""
    script = 'mount -t tmpfs -o size=256k tmpfs "$0" && mkdir "$0/models" && exec "$@"'
    own_mounts = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
    wrapper = (*own_mounts, "sh", "-c", script, str(tmp_path))
    tried = subprocess.run([*wrapper, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no file system can be mounted here: {tried.stderr.strip()}")
    return tmp_path / "models", wrapper


def test_a_full_disk_refuses_and_leaves_nothing_behind(small_disk: tuple[Path, tuple[str, ...]]) -> None:
    models, wrapper = small_disk
    after = play("filling_the_disk", models, wrapper=wrapper)

    *refused, last = after["attempts"]
    assert len(refused) > 5
    for attempt in refused:
        assert (attempt["error"], attempt["versions"], attempt["damaged"]) == ("ENOSPC", [1], [])
        assert attempt["staging_folders"] == 0
    assert (last["error"], len(last["versions"]), last["damaged"]) == (None, 2, [])
    assert len(after["entries"]) == 3


def test_a_read_only_disk_refuses_and_nothing_is_lost(small_disk: tuple[Path, tuple[str, ...]]) -> None:
    models, wrapper = small_disk
    after = play("read_only", models, wrapper=wrapper)

    assert len(after["errors"]) == 1
    assert "Read-only file system" in after["errors"][0]
    assert (after["versions"], after["damaged"], after["staging_folders"]) == ([2], [], 0)
