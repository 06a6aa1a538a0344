"""Where data sets are looked for: the user's `--data`, or else the folder that `$ATELIER_DATA` names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from training.errors import UsageError

DATA_VARIABLE = "ATELIER_DATA"

FoundT = TypeVar("FoundT")


def look_up(
    name: str, data_dir: Path | None, look_into: Callable[[Path], FoundT | None], expected: Callable[[Path], str]
) -> FoundT | None:
    """What `look_into` finds in the one place there is to look into; None if that is not the user's own and has none.

    Args:
        name: of the data set, for the message.
        data_dir: what was given as `--data`; then the environment plays no part.
        look_into: gives what a folder holds, None for nothing; raises DatasetError for what is there but damaged.
        expected: says what should have been in the folder.

    Raises:
        UsageError: `data_dir` is no folder, the data set is not in it, or `$ATELIER_DATA` names no folder.
    """
    if data_dir is not None and not data_dir.is_dir():
        received = f"the file {data_dir}" if data_dir.exists() else f"{data_dir}, which does not exist"
        raise UsageError(f"{name}: expected a folder, received {received}")
    place = variables_folder() if data_dir is None else data_dir
    if place is None:
        return None
    found = look_into(place)
    if found is None and data_dir is not None:
        raise UsageError(f"{name} is not in {data_dir}: expected {expected(data_dir)}")
    return found


def variables_folder() -> Path | None:
    """The folder that `$ATELIER_DATA` names, None where the variable is not set or empty.

    Raises:
        UsageError: it names no folder.
    """
    value = os.environ.get(DATA_VARIABLE)
    if not value:
        return None
    if not Path(value).is_dir():
        raise UsageError(f"${DATA_VARIABLE}: expected a folder, received {value}")
    return Path(value)


def tried() -> str:
    """What an unsuccessful look-up without `--data` has looked into, for the message."""
    folder = variables_folder()
    return f"no --data or ${DATA_VARIABLE} was given" if folder is None else f"${DATA_VARIABLE} ({folder})"
