"""What a run records of its surroundings."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from training.environment import git_revision, library_versions


def test_the_revision_is_a_full_commit_or_nothing() -> None:
    revision = git_revision()

    assert revision is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", revision)


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
