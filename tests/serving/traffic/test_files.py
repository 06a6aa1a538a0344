"""Labels and traffic on disk: several writers, broken files, deaths in the middle."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from serving.errors import BundleError, ConflictError
from serving.traffic import files
from serving.traffic.files import change, read_ledger, stamp
from serving.traffic.ledger import Author, Ledger, roll_back, set_label, set_traffic
from serving.traffic.settings import ShadowSettings, TrafficSettings

ANNE = Author("anne@desk", "2026-01-02T03:04:05+00:00")
SETTINGS = TrafficSettings(
    traffic={"stable": 95, "canary": 5}, sticky_header="x-user", shadow=ShadowSettings(target="canary", share=0.5)
)


def promote(folder: Path, label: str, version: int) -> Ledger:
    return change(folder, lambda ledger: set_label(ledger, label, version, ANNE))


def promote_often(folder: Path, label: str, times: int) -> None:
    for number in range(1, times + 1):
        promote(folder, label, number)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "clothes"
    promote(folder, "stable", 3)
    written = change(folder, lambda ledger: set_traffic(ledger, SETTINGS, ANNE))
    assert read_ledger(folder) == written
    assert json.loads((folder / "labels.json").read_text()) == {"stable": 3}
    assert json.loads((folder / "traffic.json").read_text()) == {
        "traffic": {"stable": 95, "canary": 5},
        "sticky_header": "x-user",
        "shadow": {"target": "canary", "share": 0.5},
    }
    assert change(folder, lambda ledger: roll_back(ledger, None, ANNE)).traffic is None
    assert not (folder / "traffic.json").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["changes.json", "labels.json"]


def test_the_stamp_changes_with_every_change_and_not_without(tmp_path: Path) -> None:
    stamps = [stamp(tmp_path)]
    for version in (3, 4, 4):
        promote(tmp_path, "stable", version)
        stamps.append(stamp(tmp_path))
    (tmp_path / "labels.json").write_text("{}")
    stamps.append(stamp(tmp_path))
    (tmp_path / "labels.json").unlink()
    stamps.append(stamp(tmp_path))
    assert stamps[2] == stamps[3]
    assert len(set(stamps)) == 4  # without the file it is as at first


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=promote_often, args=(tmp_path, label, 20)) for label in ("a", "b", "c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=300.0)
        assert writer.exitcode == 0
    found = read_ledger(tmp_path)
    assert found.labels == {"a": 20, "b": 20, "c": 20}
    assert [one.number for one in found.changes] == list(range(1, 61))


@pytest.mark.parametrize("name", ["labels.json", "traffic.json", "changes.json"])
def test_a_broken_file_is_named_and_not_overwritten(tmp_path: Path, name: str) -> None:
    promote(tmp_path, "stable", 3)
    (tmp_path / name).write_text('{"stable": ')
    with pytest.raises(BundleError, match=f"{name} is not valid: the document: Invalid JSON"):
        promote(tmp_path, "stable", 4)
    assert (tmp_path / name).read_text() == '{"stable": '


def test_a_death_between_the_files_leaves_an_edit_that_can_be_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(tmp_path, "stable", 3)
    replace = files._replace

    def dying(path: Path, document: object) -> None:
        if path.name == "changes.json":
            raise KeyboardInterrupt
        replace(path, document)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_replace", dying)
        with pytest.raises(KeyboardInterrupt):
            promote(tmp_path, "stable", 4)
    assert read_ledger(tmp_path).labels == {"stable": 4}
    assert change(tmp_path, lambda ledger: roll_back(ledger, "stable", ANNE)).labels == {"stable": 3}
    assert [one.action for one in read_ledger(tmp_path).changes] == ["label", "edit", "rollback"]


def test_a_death_while_writing_leaves_the_old_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(tmp_path, "stable", 3)

    def dying(descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", dying)
        with pytest.raises(KeyboardInterrupt):
            promote(tmp_path, "stable", 4)
    assert read_ledger(tmp_path).labels == {"stable": 3}
    promote(tmp_path, "stable", 4)


def test_a_folder_that_cannot_be_written_says_so_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConflictError, match="labels and traffic cannot be written: Not a directory; ") as caught:
        promote(tmp_path / "file" / "clothes", "stable", 3)
    assert str(tmp_path) not in str(caught.value)


def test_who_waits_too_long_for_another_writer_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LOCK_TIMEOUT_S", 0.0)
    with files._locked(tmp_path), pytest.raises(ConflictError, match="cannot be written: Resource temporarily"):
        promote(tmp_path, "stable", 3)
