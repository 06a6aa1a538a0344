"""The ends that every image classifier shares: raw pixels in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from serving.images import ImageSpec
from training.errors import UsageError
from training.run import Output

if TYPE_CHECKING:
    import keras

LOGITS = "logits"
FOR_RELU = "he_normal"
"""Initial weights that keep the variance through ReLUs (He et al., 2015, "Delving deep into rectifiers")."""
BRIGHTEST = 255
CLASSES_OF_A_SIGMOID = 2


def classifier(
    image: ImageSpec | None,
    outputs: int,
    output: Output,
    body: Callable[[keras.KerasTensor], keras.KerasTensor],
    *,
    normalize: bool = True,
) -> keras.Model:
    """A model with its preprocessing inside, so that serving can pass on what it decodes.

    `body` maps float32 `[N, H, W, channels]`, in 0..1 or, without `normalize`, in 0..255, to features `[N, F]`.

    Raises:
        UsageError: no image, a sigmoid for other than two classes, or layers that do not fit the image.
    """
    import keras

    if image is None:
        raise UsageError("a classifier needs images, but the data set has numbers")
    if output == "sigmoid" and outputs != CLASSES_OF_A_SIGMOID:
        raise UsageError(f"one sigmoid tells {CLASSES_OF_A_SIGMOID} classes apart, but the data set has {outputs}")
    pixels = keras.Input(image.shape, dtype="uint8", name="pixels")
    scaled = keras.layers.Rescaling(1 / BRIGHTEST if normalize else 1.0, name="scale")(pixels)
    channels = 1 if image.colour == "grayscale" else 3
    maps = keras.layers.Reshape((image.height, image.width, channels), name="channels")(scaled)
    try:
        features = body(maps)
    except ValueError as error:  # Keras, of a layer whose output would have no pixels left
        raise UsageError(
            f"the layers do not fit an image of {image.height}x{image.width} pixels: less than one would be left of it"
        ) from error
    logits = keras.layers.Dense(1 if output == "sigmoid" else outputs, dtype="float32", name=LOGITS)(features)
    return keras.Model(pixels, keras.layers.Activation(output, dtype="float32", name="scores")(logits))


def hidden_layers(features: keras.KerasTensor, layers: Sequence[int]) -> keras.KerasTensor:
    """Dense layers with ReLU."""
    import keras

    for units in layers:
        features = keras.layers.Dense(units, activation="relu", kernel_initializer=FOR_RELU)(features)
    return features
