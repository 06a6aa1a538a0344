"""A run folder appears complete or not at all."""

from __future__ import annotations

import datetime
import errno
import fcntl
import os
from pathlib import Path

import pytest

from training.checkpoint import CHECKPOINT
from training.errors import RunError, UsageError
from training.run_folder import (
    check_free,
    default_run_path,
    is_interrupted,
    latest_interrupted,
    partial_path,
    run_folder,
)


def leave_interrupted(path: Path) -> None:
    """As a training does that is stopped after its first checkpoint."""

    def stop_halfway() -> None:
        with run_folder(path) as folder:
            (folder / "config.json").touch()
            (folder / CHECKPOINT).touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_halfway()


def test_the_folder_appears_under_its_name_only_when_the_body_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "a"

    with run_folder(path) as folder:
        (folder / "config.json").touch()
        assert not path.exists()
        assert folder.parent == path.parent
        assert folder.name.startswith(".")

    assert [file.name for file in path.iterdir()] == ["config.json"]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_body_that_fails_or_is_interrupted_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    def fail_halfway() -> None:
        with run_folder(tmp_path / "a") as folder:
            (folder / "config.json").touch()
            raise failure

    with pytest.raises(failure):
        fail_halfway()

    assert list(tmp_path.iterdir()) == []


def test_what_failed_after_a_checkpoint_stays_hidden_to_be_resumed(tmp_path: Path) -> None:
    leave_interrupted(tmp_path / "a")

    assert is_interrupted(tmp_path / "a")
    assert list(tmp_path.iterdir()) == [partial_path(tmp_path / "a")]


def test_a_finished_run_that_finds_its_place_taken_is_not_lost(tmp_path: Path) -> None:
    def finish_too_late() -> None:
        with run_folder(tmp_path / "a") as folder:
            (folder / CHECKPOINT).touch()
            (folder / "model.keras").touch()
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / "somebody else's").touch()

    with pytest.raises(RunError, match=r"a cannot be written: Directory not empty"):
        finish_too_late()

    assert (partial_path(tmp_path / "a") / "model.keras").is_file()
    assert is_interrupted(tmp_path / "a")


def test_a_finished_run_keeps_no_checkpoint(tmp_path: Path) -> None:
    with run_folder(tmp_path / "a") as folder:
        (folder / CHECKPOINT).touch()
        (folder / "model.keras").touch()

    assert [path.name for path in (tmp_path / "a").iterdir()] == ["model.keras"]


def test_resuming_gets_the_folder_as_it_was_left(tmp_path: Path) -> None:
    leave_interrupted(tmp_path / "a")

    with run_folder(tmp_path / "a", resume=True) as folder:
        assert sorted(path.name for path in folder.iterdir()) == [CHECKPOINT, "config.json"]

    assert (tmp_path / "a" / "config.json").is_file()
    assert not is_interrupted(tmp_path / "a")


def test_resuming_that_fails_loses_nothing(tmp_path: Path) -> None:
    leave_interrupted(tmp_path / "a")

    with pytest.raises(ValueError, match="again"), run_folder(tmp_path / "a", resume=True):
        raise ValueError("again")

    assert is_interrupted(tmp_path / "a")


def test_there_has_to_be_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no interrupted run to resume at"), run_folder(tmp_path / "a", resume=True):
        pass

    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_is_in_the_way_of_a_new_one_which_says_what_to_do(tmp_path: Path) -> None:
    leave_interrupted(tmp_path / "a")
    hidden = partial_path(tmp_path / "a")

    with (
        pytest.raises(UsageError, match=rf"--resume goes on with it, removing {hidden} gives it up$"),
        run_folder(tmp_path / "a"),
    ):
        pass

    assert (hidden / CHECKPOINT).is_file()


def test_what_a_training_left_that_was_killed_before_its_first_checkpoint_is_cleared(tmp_path: Path) -> None:
    left = partial_path(tmp_path / "a")
    (left / "tensorboard").mkdir(parents=True)
    (left / "tensorboard" / "events").touch()
    (left / "config.json").touch()

    with run_folder(tmp_path / "a") as folder:
        assert list(folder.iterdir()) == []


def test_two_trainings_do_not_share_a_path(tmp_path: Path) -> None:
    with run_folder(tmp_path / "a") as first:
        (first / CHECKPOINT).touch()
        for resume in (False, True):
            with (
                pytest.raises(UsageError, match="a is being trained by another process"),
                run_folder(tmp_path / "a", resume=resume),
            ):
                pass
        assert (first / CHECKPOINT).is_file()

    assert (tmp_path / "a").is_dir()


def test_a_training_that_goes_on_beside_it_is_left_alone(tmp_path: Path) -> None:
    with run_folder(tmp_path / "a") as first, run_folder(tmp_path / "b"):
        assert first.is_dir()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_file_system_without_locks_is_trained_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")  # what NFS says of a folder

    monkeypatch.setattr(fcntl, "flock", refuse)

    with run_folder(tmp_path / "a") as folder:
        (folder / "config.json").touch()

    assert (tmp_path / "a" / "config.json").is_file()


def test_an_empty_folder_may_be_given(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    with run_folder(tmp_path / "a") as folder:
        (folder / "config.json").touch()

    assert (tmp_path / "a" / "config.json").exists()


def test_a_folder_with_something_in_it_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("years of work")

    with pytest.raises(UsageError, match="a is not empty; a run is never overwritten"), run_folder(tmp_path / "a"):
        pass

    assert (tmp_path / "a" / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_way_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    with pytest.raises(UsageError, match="a is a file; expected a folder"), run_folder(tmp_path / "a"):
        pass


def test_a_disk_that_refuses_is_reported_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(RunError, match="b cannot be written: Not a directory"), run_folder(tmp_path / "file" / "b"):
        pass


def test_a_folder_that_somebody_filled_meanwhile_is_left_alone(tmp_path: Path) -> None:
    def come_second() -> None:
        with run_folder(tmp_path / "a"):
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / "other.json").touch()

    with pytest.raises(RunError, match="a cannot be written: Directory not empty"):
        come_second()

    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("path", ["", ".", "..", "runs/..", "/"])
def test_a_path_without_a_name_of_its_own_is_refused(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError, match=r"^expected a name for the run folder, received '"), run_folder(Path(path)):
        pass


def test_a_name_that_no_terminal_shows_is_refused_before_hours_are_spent(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--out: expected a path in UTF-8, received .*caf\\udce9$"):
        check_free(tmp_path / os.fsdecode(b"caf\xe9"))


def test_a_name_that_no_disk_takes_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be looked at: File name too long"), run_folder(tmp_path / ("a" * 300)):
        pass


def test_the_newest_interrupted_run_of_a_recipe_is_found_by_its_name(tmp_path: Path) -> None:
    for name in ("cnn-20261119-235959", "cnn-20261120-090507", "cnn-best-20261121-000000", "cnn-mine"):
        leave_interrupted(tmp_path / name)
    partial_path(tmp_path / "cnn-20261122-000000").mkdir()  # killed before its first checkpoint
    with run_folder(tmp_path / "cnn-20261123-000000"):
        pass

    assert latest_interrupted("cnn", tmp_path) == tmp_path / "cnn-20261120-090507"
    assert latest_interrupted("cnn-best", tmp_path) == tmp_path / "cnn-best-20261121-000000"
    assert latest_interrupted("dense", tmp_path) is None
    assert latest_interrupted("cnn", tmp_path / "nowhere") is None


def test_the_default_name_says_what_and_when() -> None:
    now = datetime.datetime(2026, 11, 20, 9, 5, 7, tzinfo=datetime.UTC)

    assert default_run_path("digits-dense", now) == Path("runs/digits-dense-20261120-090507")
