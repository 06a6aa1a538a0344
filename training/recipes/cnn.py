"""Convolutional nets as the course builds them: features that may sit anywhere in the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from serving.images import ImageSpec
from training.recipes.base import Architecture, Recipe, Target
from training.recipes.layers import FOR_RELU, classifier, hidden_layers
from training.run import Output
from training.settings import Augmentation, Fraction, PixelSettings, Sizes, TrainingSettings

if TYPE_CHECKING:
    import keras


class ConvNet(Architecture):
    """Blocks of a 3x3 convolution with ReLU and 2x2 max-pooling; then Flatten and dense layers."""

    filters: Sizes = (32, 64)
    """Of each block."""
    padding: Literal["same", "valid"] = "same"
    """`valid` convolves only where the kernel fits, which trims the border."""
    layers: Sizes = (128,)
    dropout: Fraction = 0.0
    """Between Flatten and the dense layers."""
    normalize: bool = True
    """Whether pixels are scaled to 0..1 first."""

    def build(self, image: ImageSpec | None, outputs: int, output: Output) -> keras.Model:  # noqa: D102 -- see Architecture
        import keras

        def body(maps: keras.KerasTensor) -> keras.KerasTensor:
            for filters in self.filters:
                maps = keras.layers.Conv2D(
                    filters, 3, padding=self.padding, activation="relu", kernel_initializer=FOR_RELU
                )(maps)
                maps = keras.layers.MaxPooling2D()(maps)
            features = keras.layers.Flatten()(maps)
            if self.dropout:
                features = keras.layers.Dropout(self.dropout)(features)
            return hidden_layers(features, self.layers)

        return classifier(image, outputs, output, body, normalize=self.normalize)


_GRAY_28 = PixelSettings(image_size=28, colour="grayscale")

FASHION_MNIST_CNN = Recipe(
    name="fashion-mnist-cnn",
    title="clothes, convolutional net",
    dataset="fashion-mnist",
    pixels=_GRAY_28,
    augmentation=Augmentation(rotation_degrees=0, shift=0.1, shear=0, zoom=0.1),
    architecture=ConvNet(),
    training=TrainingSettings(epochs=10, learning_rate_schedule="cosine"),
    target=Target(accuracy=0.915),
)

FASHION_MNIST_CNN_VALID = Recipe(
    name="fashion-mnist-cnn-valid",
    title="clothes, the course's convolutional net",
    dataset="fashion-mnist",
    pixels=_GRAY_28,
    augmentation=Augmentation(rotation_degrees=0, shift=0.1, shear=0, zoom=0.1),
    architecture=ConvNet(filters=(64, 64), padding="valid"),
    training=TrainingSettings(epochs=5, learning_rate_schedule="cosine"),
    target=Target(accuracy=0.905),
)
