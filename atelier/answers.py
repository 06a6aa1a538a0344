"""What a gateway answers over REST, as far as the command line reads it; what else it says is kept."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class Refusal(_Answer):
    """Any answer with an error status."""

    error: str


class Reason(_Answer):
    """Why a version is not served; empty where it is."""

    error_message: str


class VersionStatus(_Answer):
    """One version of a model."""

    version: str
    state: str
    status: Reason


class ModelStatus(_Answer):
    """The answer of `GET /v1/models/NAME`, which TensorFlow Serving gives too."""

    model_version_status: tuple[VersionStatus, ...]


class ServedModel(_Answer):
    """One model with all versions that the gateway knows, newest first; the task where it is known."""

    name: str
    task: str | None = None
    model_version_status: tuple[VersionStatus, ...]

    @property
    def is_available(self) -> bool:
        """Whether a version answers; a stray folder beside the models is listed too, and has none."""
        return any(status.state == "AVAILABLE" for status in self.model_version_status)


class ServedModels(_Answer):
    """The answer of `GET /v1/models`."""

    models: tuple[ServedModel, ...]


class ScoredClass(_Answer):
    """One class of an image; `probability` is null where the model's score is no number."""

    label: str
    probability: float | None


class ModelSpec(_Answer):
    """Who answered."""

    name: str
    version: str


class Classification(_Answer):
    """The answer of `POST /v1/models/NAME:classify`: the best classes, best first."""

    model_spec: ModelSpec
    classes: tuple[ScoredClass, ...]


class Predictions(_Answer):
    """The answer of `POST /v1/models/NAME:predict`: one value a row, of the model's own shape."""

    predictions: tuple[Any, ...]

    def numbers(self) -> list[float | None] | None:
        """The predictions of a regression, null where one is no finite number; None where they are not one a row."""
        rows = [row if isinstance(row, list) else [row] for row in self.predictions]
        if any(len(row) != 1 or not isinstance(row[0], int | float) for row in rows):
            return None
        return [float(number) if math.isfinite(number) else None for (number,) in rows]
