"""The surroundings of a training: library versions, the code's revision, TensorFlow's talkativeness."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path

LIBRARIES = ("tensorflow", "keras", "numpy")


def quiet_tensorflow() -> None:
    """Keeps TensorFlow's start-up lines off the terminal; has to come before its first import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def library_versions() -> dict[str, str]:
    """The versions that decide the weights, Python's among them."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in LIBRARIES
    }


def git_revision() -> str | None:
    """The commit of this code, with `-dirty` where files were changed; None outside a git checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    answer = subprocess.run(  # noqa: S603
        [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or None
