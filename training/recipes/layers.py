"""The ends that every image classifier shares: raw pixels in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from serving.images import ImageSpec

if TYPE_CHECKING:
    import keras


def classifier(image: ImageSpec, classes: int, body: Callable[[keras.KerasTensor], keras.KerasTensor]) -> keras.Model:
    """A model with its preprocessing inside, so that serving can pass on what it decodes.

    `body` maps float32 `[N, H, W, channels]` in 0..1 to features `[N, F]`; a dense softmax turns them into scores.
    """
    import keras

    pixels = keras.Input(image.shape, dtype="uint8", name="pixels")
    scaled = keras.layers.Rescaling(1 / 255, name="scale")(pixels)
    channels = 1 if image.colour == "grayscale" else 3
    maps = keras.layers.Reshape((image.height, image.width, channels), name="channels")(scaled)
    scores = keras.layers.Dense(classes, activation="softmax", name="scores")(body(maps))
    return keras.Model(pixels, scores)
