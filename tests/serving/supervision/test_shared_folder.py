"""Sockets in the workers' folder have paths that a socket can have, wherever temporary files go."""

from __future__ import annotations

import socket
import stat
import tempfile
from pathlib import Path

import pytest

from serving.supervision.shared_folder import shared_folder

NAME = "admin-1.sock"


def temporary_files_go_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)  # else what was found before stays


@pytest.mark.parametrize("letters", [1, 60, 120, 200])
@pytest.mark.parametrize("letter", ["a", "ä"])
def test_a_socket_fits_however_long_the_name_is(
    letters: int, letter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary_files_go_to(tmp_path / (letter * min(letters, 255 // len(letter.encode()))), monkeypatch)
    with shared_folder(len(NAME)) as folder, socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder / NAME))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def test_a_short_name_is_heeded_and_a_long_one_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as short:
        temporary_files_go_to(Path(short) / "short", monkeypatch)
        with shared_folder(len(NAME)) as folder:
            assert folder.parent == Path(short) / "short"
        temporary_files_go_to(Path(short) / ("long" * 30), monkeypatch)
        with shared_folder(len(NAME)) as folder:
            assert folder.parent == Path("/tmp")
        assert list((Path(short) / ("long" * 30)).iterdir()) == []
