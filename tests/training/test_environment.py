"""What a run records of its surroundings."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from training import environment
from training.environment import git_revision, library_versions


def test_the_revision_is_a_full_commit_or_nothing() -> None:
    revision = git_revision()

    assert revision is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", revision)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
def test_the_commit_of_a_repository_around_an_installed_package_is_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    module = tmp_path / "environment.py"
    module.touch()
    monkeypatch.setattr(environment, "__file__", str(module))
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "theirs")
    assert git_revision() is None
    git("add", "environment.py")
    git("commit", "--quiet", "--message", "ours")
    assert git_revision() == git("rev-parse", "HEAD").strip()


def test_without_git_there_is_no_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert git_revision() is None


def test_the_versions_of_what_decides_the_weights_are_recorded() -> None:
    assert library_versions().keys() == {"python", "tensorflow", "keras", "numpy"}


def test_tensorflow_starts_without_a_word_and_stderr_works_afterwards() -> None:
    code = (
        "import sys; from training.environment import quiet_tensorflow; quiet_tensorflow();"
        "import tensorflow as tf; tf.constant(1); print('still here', file=sys.stderr)"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stderr == "still here\n"
