"""What each recipe reached when `make train-all` ran last: `atelier recipes` shows it, docs/models.md explains it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

REACHED = Path(__file__).with_name("reached.json")


class Reached(BaseModel):
    """A recipe's outcome with its own settings and seed 0; accuracies are 0..1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    """Of the recipe's metric, on the test split, or on the validation split where there is no test split."""
    training_value: float
    """Of the metric in the last epoch, on the training examples as they were met."""
    parameters: int
    epochs: int
    seconds: float
    """Wall time of the epochs."""


_Reached = TypeAdapter(dict[str, Reached])


def read_reached() -> Mapping[str, Reached]:
    """The outcomes by recipe."""
    return _Reached.validate_json(REACHED.read_bytes())


def write_reached(outcomes: Mapping[str, Reached]) -> None:
    """Replaces them all."""
    REACHED.write_bytes(_Reached.dump_json(dict(outcomes), indent=2) + b"\n")
