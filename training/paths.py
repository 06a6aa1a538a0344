"""Paths that records and messages have to name."""

from __future__ import annotations

from pathlib import Path

from training.errors import UsageError


def require_text(path: Path, option: str) -> None:
    """Refuses a path that is no text, which JSON and a terminal cannot have, before anything is done with it.

    Raises:
        UsageError: a name on disk that is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        received = str(path).encode("utf-8", "backslashreplace").decode()
        raise UsageError(f"{option}: expected a path in UTF-8, received {received}") from error
