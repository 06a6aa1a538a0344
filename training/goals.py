"""Goals that end a training early, written `metric=value`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, model_serializer, model_validator

Rising = Literal["accuracy", "validation_accuracy"]
Falling = Literal["loss", "validation_loss", "mean_absolute_error", "validation_mean_absolute_error"]
RISING, FALLING = get_args(Rising), get_args(Falling)
KERAS_PREFIX = "val_"


class StopAt(BaseModel):
    """A figure of an epoch and the value at which it is good enough; reads and writes itself as `accuracy=0.95`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    figure: Rising | Falling
    value: float

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        if isinstance(value, (Mapping, StopAt)):
            return value
        figure, _, number = str(value).partition("=")
        figure, number = figure.strip(), number.strip()
        if figure.startswith(KERAS_PREFIX):
            figure = "validation_" + figure.removeprefix(KERAS_PREFIX)
        if figure not in RISING + FALLING or not number:
            raise ValueError(f"expected a goal like accuracy=0.95 of {', '.join(RISING + FALLING)}, received {value!r}")
        return {"figure": figure, "value": number}

    @model_validator(mode="after")
    def _require_reachable(self) -> StopAt:
        if not math.isfinite(self.value) or self.value < 0 or (self.figure in RISING and self.value > 1):
            expected = "0 to 1" if self.figure in RISING else "0 or more"
            raise ValueError(f"expected a value of {expected} for {self.figure}, received {self.value:g}")
        return self

    @model_serializer
    def _to_text(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"{self.figure}={str(self.value).removesuffix('.0')}"

    def reached_by(self, figures: Mapping[str, float]) -> bool:
        """Whether the epoch's figures are good enough; a figure that is not among them never is."""
        if self.figure not in figures:
            return False
        received = figures[self.figure]
        return received >= self.value if self.figure in RISING else received <= self.value
