"""What `make train-all` reached last with each recipe, for `atelier recipes`; written by it, with docs/models.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Reached:
    """A recipe's outcome: the value of its metric, parameters, wall time of training on two cores."""

    value: float
    parameters: int
    seconds: float


REACHED: Mapping[str, Reached] = MappingProxyType({})
