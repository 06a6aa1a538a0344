"""What a model's folder looks like to the gateway."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving.repository.local_source import LocalSource, LocalVersion
from serving.repository.source import Fingerprint, is_settled

OLD_NS = 10**18


def make(root: Path, *folders: str) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True)


def versions(base_path: Path) -> set[int]:
    return set(LocalSource(base_path).look().origins)


def fingerprint(folder: Path) -> Fingerprint:
    return LocalVersion(folder).fingerprint()


def age(*paths: Path) -> None:
    for path in paths:
        os.utime(path, ns=(OLD_NS, OLD_NS))


@pytest.mark.parametrize(
    "name",
    ["-1", "+1", "1.0", "1e3", " 1", "1 ", "٣", "²", "tmp-2", ".publishing-2", "2.partial", str(2**63)],
)
def test_a_folder_with_any_other_name_is_no_version(tmp_path: Path, name: str) -> None:
    make(tmp_path, "1", name)

    assert versions(tmp_path) == {1}


def test_leading_zeros_are_passed_over_as_in_tensorflow_serving_and_the_plain_name_counts(tmp_path: Path) -> None:
    make(tmp_path, "00000007", "8", "008")

    assert LocalSource(tmp_path).look().origins == {
        7: LocalVersion(tmp_path / "00000007"),
        8: LocalVersion(tmp_path / "8"),
    }


def test_the_largest_version_is_the_largest_int64(tmp_path: Path) -> None:
    make(tmp_path, str(2**63 - 1))

    assert versions(tmp_path) == {2**63 - 1}


def test_a_file_with_a_number_for_a_name_is_no_version(tmp_path: Path) -> None:
    make(tmp_path, "1")
    (tmp_path / "2").touch()

    assert versions(tmp_path) == {1}


def test_a_link_to_a_version_folder_is_a_version(tmp_path: Path) -> None:
    make(tmp_path, "store/abc", "digits")
    (tmp_path / "digits" / "5").symlink_to(tmp_path / "store" / "abc")

    assert versions(tmp_path / "digits") == {5}


def test_a_link_that_leads_to_itself_hides_nothing_else(tmp_path: Path) -> None:
    make(tmp_path, "1")
    (tmp_path / "2").symlink_to("2")

    assert versions(tmp_path) == {1}


def test_a_base_path_that_is_missing_raises_instead_of_looking_empty(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LocalSource(tmp_path / "nowhere").look()


def test_a_folder_in_which_nothing_changed_is_not_listed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "digits/1", "fashion/3")
    age(tmp_path / "digits")
    old, young = LocalSource(tmp_path / "digits"), LocalSource(tmp_path / "fashion")
    first = (old.look(), young.look())
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))

    assert (old.look(), young.look()) == first
    assert listed == [tmp_path / "fashion"], "a folder that changed a moment ago may still do"


def test_what_is_added_to_and_removed_from_a_folder_is_seen(tmp_path: Path) -> None:
    make(tmp_path, "1")
    age(tmp_path)
    source = LocalSource(tmp_path)
    seen = [set(source.look().origins)]
    make(tmp_path, "2")
    seen.append(set(source.look().origins))
    (tmp_path / "1").rmdir()
    os.utime(tmp_path, ns=(OLD_NS + 1, OLD_NS + 1))
    seen.append(set(source.look().origins))

    assert seen == [{1}, {1, 2}, {2}]


def test_a_link_that_is_mended_is_seen_though_its_folder_stays_as_it_is(tmp_path: Path) -> None:
    make(tmp_path, "digits")
    (tmp_path / "digits" / "5").symlink_to(tmp_path / "store")
    age(tmp_path / "digits")
    source = LocalSource(tmp_path / "digits")
    assert set(source.look().origins) == set()
    (tmp_path / "store").mkdir()

    assert set(source.look().origins) == {5}


def test_a_fingerprint_stays_the_same_while_nothing_changes(tmp_path: Path) -> None:
    make(tmp_path, "variables")
    (tmp_path / "variables" / "data").write_bytes(b"x")

    assert fingerprint(tmp_path) == fingerprint(tmp_path)
    assert [name for name, _, _ in fingerprint(tmp_path).files] == ["variables/data"]


def test_a_fingerprint_notices_new_content_of_the_same_size_and_time(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"bad")
    before, status = fingerprint(tmp_path), file.stat()
    file.write_bytes(b"new")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert fingerprint(tmp_path) != before


@pytest.mark.parametrize("change", ["another file", "a file less", "a link to nowhere that is mended"])
def test_a_fingerprint_notices(tmp_path: Path, change: str) -> None:
    file, link = tmp_path / "model.onnx", tmp_path / "labels.txt"
    file.write_bytes(b"bad")
    link.symlink_to(tmp_path / "target")
    before = fingerprint(tmp_path)
    if change == "another file":
        (tmp_path / "manifest.json").touch()
    elif change == "a file less":
        file.unlink()
    else:
        (tmp_path / "target").touch()

    assert fingerprint(tmp_path) != before


def test_the_fingerprint_of_a_folder_that_is_gone_is_empty(tmp_path: Path) -> None:
    assert fingerprint(tmp_path / "gone") == Fingerprint()


@pytest.mark.parametrize(("name", "is_whole"), [("manifest.json", True), ("assets/manifest.json", False)])
def test_a_manifest_vouches_for_the_version(tmp_path: Path, name: str, is_whole: bool) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()

    assert fingerprint(tmp_path).is_whole is is_whole


def test_a_version_has_settled_once_it_looks_the_same_twice_or_is_vouched_for() -> None:
    copying, copied = Fingerprint((("model.onnx", 5, 1),)), Fingerprint((("model.onnx", 9, 2),))

    assert not is_settled(copying, None)
    assert not is_settled(copied, copying)
    assert is_settled(copied, copied)
    assert is_settled(copying._replace(is_whole=True), None)
