"""What the models folder looks like to the gateway."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving.repository.source import ModelFolder, Source, fingerprint, is_settled


def make(root: Path, *folders: str) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True)


def versions(root: Path) -> dict[str, set[int]]:
    return {name: set(folder.versions) for name, folder in Source(root).scan().items()}


def test_every_folder_is_a_model_and_its_plain_numbers_are_its_versions(tmp_path: Path) -> None:
    make(tmp_path, "digits/1", "digits/20", "fashion/3", "empty")

    assert versions(tmp_path) == {"digits": {1, 20}, "fashion": {3}, "empty": set()}
    assert Source(tmp_path).scan()["digits"].base_path == tmp_path / "digits"


@pytest.mark.parametrize(
    "name",
    ["-1", "+1", "1.0", "1e3", " 1", "1 ", "٣", "²", "tmp-2", ".publishing-2", "2.partial", str(2**63)],
)
def test_a_folder_with_any_other_name_is_no_version(tmp_path: Path, name: str) -> None:
    make(tmp_path, "digits/1", f"digits/{name}")

    assert versions(tmp_path) == {"digits": {1}}


def test_leading_zeros_are_passed_over_as_in_tensorflow_serving_and_the_plain_name_counts(tmp_path: Path) -> None:
    make(tmp_path, "digits/00000007", "digits/8", "digits/008")

    folders = Source(tmp_path).scan()["digits"].version_dirs
    assert {number: path.name for number, path in folders.items()} == {7: "00000007", 8: "8"}


def test_the_largest_version_is_the_largest_int64(tmp_path: Path) -> None:
    make(tmp_path, f"digits/{2**63 - 1}")

    assert versions(tmp_path) == {"digits": {2**63 - 1}}


def test_files_and_hidden_folders_are_no_models(tmp_path: Path) -> None:
    make(tmp_path, ".cache/1", "digits/1")
    (tmp_path / "README.md").touch()
    (tmp_path / "digits" / "2").touch()

    assert versions(tmp_path) == {"digits": {1}}


def test_a_link_to_a_version_folder_is_a_version(tmp_path: Path) -> None:
    make(tmp_path, "store/abc", "models/digits")
    (tmp_path / "models" / "digits" / "5").symlink_to(tmp_path / "store" / "abc")

    assert versions(tmp_path / "models") == {"digits": {5}}


def test_a_link_that_leads_to_itself_hides_nothing_else(tmp_path: Path) -> None:
    make(tmp_path, "digits/1")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "digits" / "2").symlink_to("2")

    assert versions(tmp_path) == {"digits": {1}}


def test_a_folder_of_versions_is_one_model_named_like_the_folder(tmp_path: Path) -> None:
    make(tmp_path, "digits/1", "digits/2", "digits/.publishing-3")

    assert Source(tmp_path / "digits").scan() == {
        "digits": ModelFolder(tmp_path / "digits", {1: tmp_path / "digits" / "1", 2: tmp_path / "digits" / "2"})
    }


def test_one_model_with_a_number_for_a_name_does_not_hide_the_others(tmp_path: Path) -> None:
    make(tmp_path, "digits/1", "2024/7")

    assert versions(tmp_path) == {"digits": {1}, "2024": {7}}


def test_a_models_folder_that_is_missing_raises_instead_of_looking_empty(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Source(tmp_path / "nowhere").scan()


def test_a_models_folder_that_is_a_file_raises(tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    with pytest.raises(NotADirectoryError):
        Source(tmp_path / "models").scan()


OLD_NS = 10**18


def test_a_folder_in_which_nothing_changed_is_not_listed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "digits/1", "fashion/3")
    for folder in (tmp_path, tmp_path / "digits"):
        os.utime(folder, ns=(OLD_NS, OLD_NS))
    looks = Source(tmp_path)
    first = looks.scan()
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))

    assert looks.scan() == first
    assert listed == [tmp_path, tmp_path / "fashion"], "a folder that changed a moment ago may still do"


def test_what_is_added_to_and_removed_from_a_folder_is_seen(tmp_path: Path) -> None:
    make(tmp_path, "digits/1")
    os.utime(tmp_path / "digits", ns=(OLD_NS, OLD_NS))
    looks = Source(tmp_path)
    seen = [set(looks.scan()["digits"].versions)]
    make(tmp_path, "digits/2")
    seen.append(set(looks.scan()["digits"].versions))
    (tmp_path / "digits" / "1").rmdir()
    os.utime(tmp_path / "digits", ns=(OLD_NS + 1, OLD_NS + 1))
    seen.append(set(looks.scan()["digits"].versions))

    assert seen == [{1}, {1, 2}, {2}]


def test_a_link_that_is_mended_is_seen_though_its_folder_stays_as_it_is(tmp_path: Path) -> None:
    make(tmp_path, "models/digits")
    (tmp_path / "models" / "digits" / "5").symlink_to(tmp_path / "store")
    os.utime(tmp_path / "models" / "digits", ns=(OLD_NS, OLD_NS))
    looks = Source(tmp_path / "models")
    assert looks.scan()["digits"].versions == set()
    (tmp_path / "store").mkdir()

    assert looks.scan()["digits"].versions == {5}


def test_a_fingerprint_stays_the_same_while_nothing_changes(tmp_path: Path) -> None:
    make(tmp_path, "variables")
    (tmp_path / "variables" / "data").write_bytes(b"x")

    assert fingerprint(tmp_path) == fingerprint(tmp_path)
    assert [name for name, _, _ in fingerprint(tmp_path)] == ["variables/data"]


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
    assert fingerprint(tmp_path / "gone") == ()


def test_a_version_has_settled_once_it_looks_the_same_twice_or_has_a_manifest() -> None:
    copying, copied = (("model.onnx", 5, 1),), (("model.onnx", 9, 2),)

    assert not is_settled(copying, None)
    assert not is_settled(copied, copying)
    assert is_settled(copied, copied)
    assert is_settled((("manifest.json", 2, 3), *copying), None)
    assert not is_settled((("assets/manifest.json", 2, 3),), None)
