"""The surroundings of a training: library versions, the code's revision, TensorFlow's talkativeness."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from training.errors import TrainingError

LIBRARIES = ("tensorflow", "keras", "numpy")


def quiet_tensorflow() -> None:
    """Imports TensorFlow without its start-up lines; what matters of them comes back as Python exceptions.

    No variable silences what its libraries log while they are loaded, so stderr is away for that moment.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" in sys.modules:
        return
    with silent_stderr():
        importlib.import_module("tensorflow")


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Takes the process's file descriptor 2 away, which C++ writes to: for libraries that no setting keeps quiet."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as target:
            os.dup2(target.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextlib.contextmanager
def tensorflow_errors() -> Iterator[None]:
    """TensorFlow's own errors become a sentence.

    Raises:
        TrainingError: memory or anything else that TensorFlow needs is missing.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise TrainingError("memory is not enough; a smaller batch, image size or model needs less") from error
    except tf.errors.OpError as error:
        raise TrainingError(f"TensorFlow failed: {error.message.splitlines()[0]}") from error


def library_versions() -> dict[str, str]:
    """The versions that decide the weights, Python's among them."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in LIBRARIES}


def git_revision() -> str | None:
    """The commit of this code, with `-dirty` where files were changed; None where git does not track it."""
    git = shutil.which("git")
    if git is None:
        return None
    here = Path(__file__)

    def answer(*arguments: str) -> str:
        asked = subprocess.run([git, *arguments], cwd=here.parent, capture_output=True, text=True, check=False)  # noqa: S603 -- git, with arguments of ours
        return asked.stdout.strip()

    # An installed package may lie in the checkout of another project, whose commit would say nothing about it.
    if not answer("ls-files", here.name):
        return None
    return answer("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") or None
