"""What a recipe is: a data set, an architecture and the settings that train it, with the figure it has to reach."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from serving.images import ImageSpec
from training.errors import UsageError
from training.run import MetricName, Output, RunMetrics, Task
from training.settings import Augmentation, PixelSettings, Settings, TrainingSettings, expectation

if TYPE_CHECKING:
    import keras

UNITS = "units"
"""Short for one hidden layer: `units=512` is `layers=512`."""
LAYERS = "layers"


@dataclass(frozen=True)
class Target:
    """The figures that the recipe reaches with its own settings, where it is judged; None is no matter."""

    accuracy: float | None = None
    """At least this share, 0..1."""
    loss: float | None = None
    """At most this."""
    mean_absolute_error: float | None = None
    """At most this."""

    def reached_by(self, metrics: RunMetrics) -> bool:
        """Whether the run is at least as good."""
        figures = {metrics.metric: metrics.value, "loss": metrics.loss}
        least, most = {"accuracy": self.accuracy}, {"loss": self.loss, "mean_absolute_error": self.mean_absolute_error}
        return all(
            limit is None or (name in figures and figures[name] >= limit) for name, limit in least.items()
        ) and all(limit is None or (name in figures and figures[name] <= limit) for name, limit in most.items())

    @property
    def is_none(self) -> bool:
        """Whether nothing has to be reached."""
        return self == Target()

    def __str__(self) -> str:
        parts = (
            ("accuracy ≥ {:.3f}", self.accuracy),
            ("loss ≤ {:g}", self.loss),
            ("mean absolute error ≤ {:g}", self.mean_absolute_error),
        )
        return ", ".join(words.format(limit) for words, limit in parts if limit is not None) or "none"


class Architecture(Settings):
    """A family of models; its fields are what may be set on it."""

    @abstractmethod
    def build(self, image: ImageSpec | None, outputs: int, output: Output) -> keras.Model:
        """The untrained model.

        A classifier takes `pixels`, uint8 `[N, *image.shape]`, and gives `scores`, float32: the softmax
        `[N, outputs]`, or, as `sigmoid`, the probability of the second class, `[N, 1]`; its layer `logits` gives what
        the softmax or the sigmoid is made of. A regression takes `features`, float32 `[N, 1]`, and gives `predictions`,
        `[N, 1]`.

        Raises:
            UsageError: the layers do not fit the image, or the output does not fit the number of classes.
        """

    def serve(self, model: keras.Model) -> keras.Model:
        """What is judged and kept of a trained model, with the same inputs and outputs: the model itself."""
        return model


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One model on one data set.

    `pixels` and `augmentation` are None for a regression, whose inputs are numbers. `output` is `softmax` for any
    number of classes, `sigmoid` for two, `linear` for a regression.
    """

    name: str
    title: str
    dataset: str
    architecture: Architecture
    training: TrainingSettings
    target: Target
    output: Output = "softmax"
    pixels: PixelSettings | None = None
    augmentation: Augmentation | None = None

    @property
    def image(self) -> ImageSpec | None:
        """The model's input, where that is an image."""
        return None if self.pixels is None else self.pixels.image

    @property
    def task(self) -> Task:
        """What the model does."""
        return "regression" if self.output == "linear" else "classification"

    @property
    def metric(self) -> MetricName:
        """What is reported beside the loss."""
        return "mean_absolute_error" if self.output == "linear" else "accuracy"

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that may be set, by key, with its present value as JSON has it."""
        values: dict[str, Any] = {}
        for group in self._groups().values():
            values |= group.model_dump(mode="json")
        return values

    def with_settings(self, given: Mapping[str, Any]) -> Recipe:
        """The recipe with other settings, whose values are text or as JSON has them.

        Raises:
            UsageError: an unknown key, or a value that cannot be; the message lists what is known or expected.
        """
        given = _without_shorthand(given)
        known = self.settings
        unknown = [key for key in given if key not in known]
        if unknown:
            raise UsageError(
                f"recipe {self.name} has no setting {', '.join(map(repr, unknown))}; known: {', '.join(known)}"
                + (f", {UNITS}" if LAYERS in known else "")
            )
        changed: dict[str, Any] = {name: _changed(group, given) for name, group in self._groups().items()}
        return replace(self, **changed)

    def _groups(self) -> dict[str, Settings]:
        groups = {
            "training": self.training,
            "architecture": self.architecture,
            "pixels": self.pixels,
            "augmentation": self.augmentation,
        }
        return {name: group for name, group in groups.items() if group is not None}


def _without_shorthand(given: Mapping[str, Any]) -> Mapping[str, Any]:
    if UNITS not in given:
        return given
    if LAYERS in given:
        raise UsageError(f"{UNITS} is short for {LAYERS} with one layer: expected one of the two, received both")
    return {LAYERS if key == UNITS else key: str(value) if key == UNITS else value for key, value in given.items()}


GroupT = TypeVar("GroupT", bound=Settings)


def _changed(group: GroupT, given: Mapping[str, Any]) -> GroupT:
    own = {key: value for key, value in given.items() if key in type(group).model_fields}
    try:
        return type(group).model_validate(group.model_dump() | own)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0]) if first["loc"] else "the settings"
        reason = expectation(first)
        received = "" if "received" in reason else f", received {own.get(key, first['input'])!r}"
        raise UsageError(f"{key}: {reason}{received}") from error
