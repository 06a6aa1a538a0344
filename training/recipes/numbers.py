"""Numbers in, a number out: the course's first model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from serving.images import ImageSpec
from training.errors import UsageError
from training.recipes.base import Architecture, Recipe, Target
from training.run import Output
from training.settings import Sizes, TrainingSettings

if TYPE_CHECKING:
    import keras


class LinearNet(Architecture):
    """Dense layers without activation, one after the other, and a last one with one unit."""

    layers: Sizes = ()

    def build(self, image: ImageSpec | None, outputs: int, output: Output) -> keras.Model:  # noqa: D102 -- see Architecture
        import keras

        if image is not None or output != "linear":
            raise UsageError("a regression takes numbers, but the data set has images")
        features = keras.Input((1,), dtype="float32", name="features")
        maps = features
        for units in self.layers:
            maps = keras.layers.Dense(units)(maps)
        return keras.Model(features, keras.layers.Dense(outputs, dtype="float32", name="predictions")(maps))


CELSIUS = Recipe(
    name="celsius",
    title="degrees Celsius to Fahrenheit, one neuron",
    dataset="celsius",
    architecture=LinearNet(),
    output="linear",
    training=TrainingSettings(epochs=500, batch_size=1, learning_rate=0.1, validation_split=0),
    target=Target(mean_absolute_error=2),
)

CELSIUS_DEEP = replace(
    CELSIUS,
    name="celsius-deep",
    title="degrees Celsius to Fahrenheit, layers of 4, 4 and 1",
    architecture=LinearNet(layers=(4, 4)),
    training=TrainingSettings(epochs=500, learning_rate=0.1, validation_split=0),
)
