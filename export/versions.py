"""Names and numbers: what a model may be called, and which versions of it there are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from export.errors import WrongUseError
from serving.bundle_files import MANIFEST, ONNX_MODEL, SAVED_MODEL

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MAX_VERSION = 2**63 - 1
"""TensorFlow Serving's versions are int64."""


def is_model_name(name: str) -> bool:
    """Whether a model may be called so."""
    return MODEL_NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Holds a name to be one that a model may have.

    Raises:
        WrongUseError: it is not.
    """
    if not is_model_name(name):
        raise WrongUseError(
            f"{name!r} is no name for a model: expected letters, digits, '.', '_' and '-', "
            "starting with a letter or digit"
        )


def check_number(version: int) -> None:
    """Holds a number to be one that a server can read.

    Raises:
        WrongUseError: it is not.
    """
    if not 1 <= version <= MAX_VERSION:
        raise WrongUseError(f"{version} is no version: expected 1 to {MAX_VERSION}")


def published_versions(model_dir: Path) -> list[int]:
    """The numbers of the versions in the folder, ascending; entries of other names are none."""
    return numbers_among(entry.name for entry in model_dir.iterdir()) if model_dir.is_dir() else []


def numbers_among(names: Iterable[str]) -> list[int]:
    """The numbers of the entries that servers take for versions, ascending."""
    return sorted(int(name) for name in names if is_number(name))


def is_number(name: str) -> bool:
    """Whether servers take an entry of this name for a version."""
    return name.isascii() and name.isdigit()


def next_version(taken: Iterable[int], last: int = 0) -> int:
    """The number after every one that is taken and after `last`, the highest ever given."""
    return max((*taken, last, 0)) + 1


def is_taken(version: int, model_dir: Path) -> WrongUseError:
    """What to raise where somebody wants a number that another version has."""
    return WrongUseError(f"version {version} of {model_dir.name} exists already in {model_dir}")


def version_folders(path: Path) -> list[Path]:
    """The version that `path` is, or the versions of the model whose folder it is, oldest first.

    Raises:
        WrongUseError: it is neither.
    """
    if any((path / name).is_file() for name in (MANIFEST, ONNX_MODEL, SAVED_MODEL)):
        return [path]
    # Servers pass over numbers with leading zeros, and so does this.
    versions = [path / str(number) for number in published_versions(path) if (path / str(number)).is_dir()]
    if not versions:
        problem = "there is no model in it" if path.is_dir() else "there is no such folder"
        raise WrongUseError(f"{path} is neither a version nor a model's folder of versions: {problem}")
    return versions
