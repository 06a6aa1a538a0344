"""The course's seven temperatures in degrees Celsius and Fahrenheit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.datasets.base import Dataset, LoadOptions, Split, refuse_data_dir
from training.errors import DatasetError

TRAIN_PAIRS = ((-40, -40), (-10, 14), (0, 32), (8, 46), (15, 59), (22, 72), (38, 100))
"""°C and °F as the course gives them, three of them rounded to whole degrees."""
TEST_PAIRS = ((-25, -13), (-5, 23), (5, 41), (10, 50), (30, 86), (37, 98.6), (50, 122), (100, 212))
"""Exact ones that training does not have, some of them outside of its range."""


@dataclass(frozen=True)
class Celsius:
    """Degrees Celsius as inputs, degrees Fahrenheit as targets; there is no `data_dir` to look into."""

    name: str = "celsius"

    def load(self, options: LoadOptions) -> Dataset:
        """Gives both splits, 7 and 8 pairs, float32 `[N, 1]`.

        Raises:
            UsageError: `data_dir` is given.
            DatasetError: images were asked for.
        """
        refuse_data_dir(self.name, "Atelier", options.data_dir)
        if options.image is not None:
            raise DatasetError(f"{self.name} holds numbers, but the recipe expects images")
        return Dataset(self.name, (), _to_split(TRAIN_PAIRS), _to_split(TEST_PAIRS), source="the course's table")


def _to_split(pairs: tuple[tuple[float, float], ...]) -> Split:
    table = np.array(pairs, dtype=np.float32)
    return Split(table[:, :1], table[:, 1:])


CELSIUS = Celsius()
