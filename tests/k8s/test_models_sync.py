"""The script that follows a store of models, with a stand-in for rclone whose store is a folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.manifests import K8S
from tests.support.waiting import wait_until

SCRIPT = K8S / "components" / "s3-models" / "sync.sh"
RCLONE = """#!/bin/sh
# The three commands that the script uses, on folders: lsf, sync and copy.
set -eu
[ ! -e "$STORE/.down" ] || { echo "no such host" >&2; exit 1; }
case $1 in
  lsf) cd "$STORE"; find . -mindepth 3 -maxdepth 3 -name manifest.json | sed 's|^./||' | sort ;;
  sync) mkdir -p "$3"; cp -r "$2/." "$3/" ;;
  copy) [ ! -e "$4/labels.json" ] || cp "$4/labels.json" "$5/" ;;
  *) echo "unexpected: $*" >&2; exit 2 ;;
esac
"""

Run = Callable[[], subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A store and a folder that are both empty, and rclone on the path."""
    for name in ("bin", "store", "models"):
        (tmp_path / name).mkdir()
    rclone = tmp_path / "bin" / "rclone"
    rclone.write_text(RCLONE)
    rclone.chmod(0o755)
    return {
        "PATH": f"{rclone.parent}:{os.environ['PATH']}",
        "STORE": str(tmp_path / "store"),
        "FOLDER": str(tmp_path / "models"),
        "PERIOD_S": "0.05",
    }


@pytest.fixture
def follow_once(environment: dict[str, str]) -> Run:
    """One look at the store."""

    def run() -> subprocess.CompletedProcess[str]:
        command = ["sh", SCRIPT, "once"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return run


def publish(store: Path, version: str, *, whole: bool = True) -> None:
    """A version as a publisher leaves it, or one that is still being published."""
    folder = store / version
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_text(version)
    if whole:
        (folder / "manifest.json").write_text("{}")


def versions(folder: Path) -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in folder.glob("*/[0-9]*")}


def test_whole_versions_come_and_unfinished_ones_do_not(
    environment: dict[str, str], follow_once: Run, tmp_path: Path
) -> None:
    publish(tmp_path / "store", "digits/1")
    publish(tmp_path / "store", "digits/2", whole=False)
    publish(tmp_path / "store", "digits/.publishing-3")
    (tmp_path / "store" / "digits" / "labels.json").write_text('{"stable": 1}')
    assert follow_once().returncode == 0
    assert versions(tmp_path / "models") == {"digits/1"}
    assert (tmp_path / "models" / "digits" / "1" / "model.onnx").read_text() == "digits/1"
    assert (tmp_path / "models" / "digits" / "labels.json").read_text() == '{"stable": 1}'
    assert (tmp_path / "models" / ".followed").exists()


def test_a_version_goes_when_the_store_has_it_no_more(follow_once: Run, tmp_path: Path) -> None:
    publish(tmp_path / "store", "digits/1")
    publish(tmp_path / "store", "digits/2")
    follow_once()
    shutil.rmtree(tmp_path / "store" / "digits" / "1")
    assert follow_once().stdout == "removed digits/1\n"
    assert versions(tmp_path / "models") == {"digits/2"}
    assert not list((tmp_path / "models" / "digits").glob(".removed-*"))


def test_nothing_is_removed_when_the_store_does_not_answer_or_is_empty(follow_once: Run, tmp_path: Path) -> None:
    publish(tmp_path / "store", "digits/1")
    follow_once()
    (tmp_path / "store" / ".down").touch()
    assert follow_once().returncode == 1
    (tmp_path / "store" / ".down").unlink()
    shutil.rmtree(tmp_path / "store" / "digits")
    assert follow_once().returncode == 1
    assert versions(tmp_path / "models") == {"digits/1"}


def test_it_goes_on_after_an_outage_and_ends_at_once_when_told(environment: dict[str, str], tmp_path: Path) -> None:
    publish(tmp_path / "store", "digits/1")
    (tmp_path / "store" / ".down").touch()
    with subprocess.Popen(
        ["sh", SCRIPT], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as sync:
        try:
            (tmp_path / "store" / ".down").unlink()
            wait_until(lambda: versions(tmp_path / "models") == {"digits/1"})
            publish(tmp_path / "store", "digits/2")
            wait_until(lambda: versions(tmp_path / "models") == {"digits/1", "digits/2"})
            sync.send_signal(signal.SIGTERM)
            assert sync.wait(timeout=60) == 0
        finally:
            sync.kill()
