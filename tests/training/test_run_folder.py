"""A run folder appears complete or not at all."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

from training.errors import RunError, UsageError
from training.run_folder import default_run_path, new_run_folder


def test_the_folder_appears_under_its_name_only_when_the_body_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "a"

    with new_run_folder(path) as folder:
        (folder / "config.json").touch()
        assert not path.exists()
        assert folder.parent == path.parent
        assert folder.name.startswith(".")

    assert [file.name for file in path.iterdir()] == ["config.json"]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_body_that_fails_or_is_interrupted_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    def fail_halfway() -> None:
        with new_run_folder(tmp_path / "a") as folder:
            (folder / "config.json").touch()
            raise failure

    with pytest.raises(failure):
        fail_halfway()

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_training_left_is_removed_by_the_next_one_beside_it(tmp_path: Path) -> None:
    abandoned = tmp_path / ".b.4194305.partial"
    with_our_pid = tmp_path / f".a.{os.getpid()}.partial"  # in containers, numbers come again
    for folder in (abandoned, with_our_pid, tmp_path / ".mine.partial"):
        folder.mkdir()
        (folder / "config.json").touch()

    with new_run_folder(tmp_path / "a") as folder:
        assert not abandoned.exists()
        assert list(folder.iterdir()) == []

    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine.partial", "a"]


def test_a_training_that_goes_on_beside_it_is_left_alone(tmp_path: Path) -> None:
    with new_run_folder(tmp_path / "a") as first, new_run_folder(tmp_path / "b"):
        assert first.is_dir()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_an_empty_folder_may_be_given(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    with new_run_folder(tmp_path / "a") as folder:
        (folder / "config.json").touch()

    assert (tmp_path / "a" / "config.json").exists()


def test_a_folder_with_something_in_it_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("years of work")

    with pytest.raises(UsageError, match="a is not empty; a run is never overwritten"), new_run_folder(tmp_path / "a"):
        pass

    assert (tmp_path / "a" / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_way_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    with pytest.raises(UsageError, match="a is a file; expected a folder"), new_run_folder(tmp_path / "a"):
        pass


def test_a_disk_that_refuses_is_reported_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(RunError, match="b cannot be written: Not a directory"), new_run_folder(tmp_path / "file" / "b"):
        pass


def test_a_folder_that_somebody_filled_meanwhile_is_left_alone(tmp_path: Path) -> None:
    def come_second() -> None:
        with new_run_folder(tmp_path / "a"):
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / "other.json").touch()

    with pytest.raises(RunError, match="a cannot be written: Directory not empty"):
        come_second()

    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_the_default_name_says_what_and_when() -> None:
    now = datetime.datetime(2026, 11, 20, 9, 5, 7, tzinfo=datetime.UTC)

    assert default_run_path("digits-dense", now) == Path("runs/digits-dense-20261120-090507")
