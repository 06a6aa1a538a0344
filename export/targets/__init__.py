"""Formats that a model is written in when asked for, made from the files that every bundle has."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from export.sources.base import Original


class Target(Protocol):
    """A format; `progress` says what is done while it is written."""

    @property
    def progress(self) -> str:
        """For people who wait."""
        ...

    def check(self, original: Original) -> None:
        """Refuses before anything is written.

        Raises:
            WrongUseError: a model of this kind cannot be written so.
        """
        ...

    def write(self, bundle: Path, original: Original) -> None:
        """Writes the file into the bundle.

        Raises:
            ExportError: this model cannot be converted.
            OSError: the disk refuses.
        """
        ...
