"""Why a training cannot start or go on; `str(error)` is one sentence for the person at the terminal."""

from __future__ import annotations


class TrainingError(Exception):
    """The root of all causes; raised itself when training fails, as with a loss that is no number."""


class UsageError(TrainingError):
    """What was asked for cannot be: an unknown name, an impossible setting, a run folder that is taken."""


class DatasetError(TrainingError):
    """Data was found, but is damaged or contradicts itself."""


class DatasetUnavailableError(DatasetError):
    """The data was in none of the places looked at."""


class RunError(TrainingError):
    """A run folder is missing, incomplete or damaged, or cannot be written."""
