"""Why a training cannot start or go on; `str(error)` is one sentence for the person at the terminal."""

from __future__ import annotations


class TrainingError(Exception):
    """The root of all causes; raised itself when the training goes wrong, as with a loss that is no number."""


class RecipeError(TrainingError):
    """No such recipe, data set, or an impossible setting: wrong use."""


class DatasetError(TrainingError):
    """Data was found, but is damaged or contradicts itself."""


class DatasetUnavailableError(DatasetError):
    """The data was in none of the places looked at."""


class RunError(TrainingError):
    """A run folder that cannot be written to, or is missing, incomplete or damaged."""
