"""What a recipe is: a data set, a model and the settings that train it, with the figure it has to reach."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from serving.images import ImageSpec
from training.errors import UsageError
from training.run import LearningRateDecay, RunMetrics

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Target:
    """The least test accuracy (0..1) that the recipe reaches with its own settings."""

    test_accuracy: float

    def reached_by(self, metrics: RunMetrics) -> bool:
        """Whether the run is at least as good."""
        return metrics.test_accuracy >= self.test_accuracy


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One model on one data set; Adam and categorical cross-entropy train it.

    `build(image, classes)` returns the model, whose input `pixels` is uint8 `[N, *image.shape]` and whose output
    `scores` is the softmax `[N, classes]`. `validation_split` is the fraction of the training images held out.

    Raises:
        UsageError: a setting that nothing can be trained with.
    """

    name: str
    title: str
    dataset: str
    image: ImageSpec
    build: Callable[[ImageSpec, int], keras.Model]
    target: Target
    epochs: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    learning_rate_decay: LearningRateDecay = "none"
    validation_split: float = 0.1
    task: Literal["classification"] = "classification"

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise UsageError(f"expected at least 1 epoch, received {self.epochs}")
        if self.batch_size < 1:
            raise UsageError(f"expected a batch size of at least 1, received {self.batch_size}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UsageError(f"expected a learning rate above 0, received {self.learning_rate}")
        if not 0 < self.validation_split < 1:
            raise UsageError(f"expected a validation split between 0 and 1, received {self.validation_split}")
