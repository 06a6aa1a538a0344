"""Why an export was refused or could not go on; `str(error)` is a sentence for the person at the terminal."""

from __future__ import annotations


class ExportError(Exception):
    """The root of all causes; raised itself when something of the export failed or did not fit."""


class WrongUseError(ExportError):
    """What was asked for is impossible: a model name that is none, a version that is there already."""
