"""Which models a gateway finds in its models folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from serving.repository.catalogue import ScannedFolder


def make(root: Path, *folders: str) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True)


def base_paths(root: Path) -> dict[str, Path]:
    return {name: Path(config.base_path) for name, config in ScannedFolder(root).read().items()}


def test_every_folder_is_a_model(tmp_path: Path) -> None:
    make(tmp_path, "digits/1", "digits/20", "fashion/3", "empty")

    assert base_paths(tmp_path) == {name: tmp_path / name for name in ("digits", "empty", "fashion")}


def test_files_and_hidden_folders_are_no_models(tmp_path: Path) -> None:
    make(tmp_path, ".cache/1", "digits/1")
    (tmp_path / "README.md").touch()
    (tmp_path / "loop").symlink_to("loop")

    assert list(base_paths(tmp_path)) == ["digits"]


def test_a_folder_of_versions_is_one_model_named_like_the_folder(tmp_path: Path) -> None:
    make(tmp_path, "digits/1", "digits/2", "digits/.publishing-3")

    assert base_paths(tmp_path / "digits") == {"digits": tmp_path / "digits"}


def test_a_folder_of_versions_stays_a_model_when_its_last_version_is_gone(tmp_path: Path) -> None:
    make(tmp_path, "digits/1")
    folder = ScannedFolder(tmp_path / "digits")
    before = folder.read()
    shutil.rmtree(tmp_path / "digits" / "1")
    assert folder.read() == before
    make(tmp_path, "digits/copying")
    assert folder.read() == before
    make(tmp_path, "digits/copying/1")

    assert list(folder.read()) == ["copying"]


def test_one_model_with_a_number_for_a_name_does_not_hide_the_others(tmp_path: Path) -> None:
    make(tmp_path, "digits/1", "2024/7")

    assert list(base_paths(tmp_path)) == ["2024", "digits"]


def test_a_models_folder_that_is_missing_raises_instead_of_looking_empty(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ScannedFolder(tmp_path / "nowhere").read()


def test_a_models_folder_that_is_a_file_raises(tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    with pytest.raises(NotADirectoryError):
        ScannedFolder(tmp_path / "models").read()
