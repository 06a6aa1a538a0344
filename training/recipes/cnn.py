"""Convolutional nets: features that may sit anywhere in the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.images import ImageSpec
from training.recipes.base import Recipe, Target
from training.recipes.layers import classifier

if TYPE_CHECKING:
    import keras

FILTERS = (32, 64)
UNITS = 128


def build_cnn(image: ImageSpec, classes: int) -> keras.Model:
    """Twice a 3x3 convolution (32, then 64 filters) and 2x2 max-pooling; then Dense 128 with ReLU, softmax."""
    import keras

    def body(maps: keras.KerasTensor) -> keras.KerasTensor:
        for filters in FILTERS:
            maps = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(maps)
            maps = keras.layers.MaxPooling2D()(maps)
        return keras.layers.Dense(UNITS, activation="relu")(keras.layers.Flatten()(maps))

    return classifier(image, classes, body)


FASHION_MNIST_CNN = Recipe(
    name="fashion-mnist-cnn",
    title="clothes, convolutional net",
    dataset="fashion-mnist",
    image=ImageSpec(28, 28, "grayscale"),
    build=build_cnn,
    target=Target(test_accuracy=0.905),
    epochs=5,
)
