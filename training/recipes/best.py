"""The best that two cores find in half an hour on Fashion-MNIST, in less than 2 MB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from serving.images import ImageSpec
from training.recipes.base import Architecture, Recipe, Target
from training.recipes.layers import FOR_RELU, LOGITS, classifier
from training.run import Output
from training.settings import Augmentation, Fraction, PixelSettings, Sizes, TrainingSettings

if TYPE_CHECKING:
    import keras


class ResidualNet(Architecture):
    """A small residual net with batch normalization (He et al., 2015, "Deep residual learning").

    A stem at full size; then stages that halve the image and add what two more convolutions have to say; at the end an
    average for each filter. Without Flatten and wide dense layers, almost all weights are in the convolutions.
    """

    stem: int = Field(default=16, ge=1, le=1024)
    """Filters at the image's full size."""
    filters: Sizes = (48, 112)
    """Of each stage."""
    dropout: Fraction = 0.2
    """Before the last layer."""
    mirror: bool = True
    """Whether the trained model looks at each image's mirror image too, and answers with the mean of both logits."""

    def build(self, image: ImageSpec | None, outputs: int, output: Output) -> keras.Model:  # noqa: D102 -- see Architecture
        import keras

        def convolution(maps: keras.KerasTensor, filters: int, *, halve: bool = False) -> keras.KerasTensor:
            maps = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer=FOR_RELU)(maps)
            if halve:  # before normalization, which then has a quarter to do
                maps = keras.layers.MaxPooling2D()(maps)
            maps = keras.layers.BatchNormalization(momentum=0.95)(maps)
            return keras.layers.Activation("relu")(maps)

        def body(maps: keras.KerasTensor) -> keras.KerasTensor:
            maps = convolution(maps, self.stem)
            for filters in self.filters:
                maps = convolution(maps, filters, halve=True)
                added = convolution(convolution(maps, filters), filters)
                maps = keras.layers.Add()([maps, added])
            return keras.layers.Dropout(self.dropout)(keras.layers.GlobalAveragePooling2D()(maps))

        return classifier(image, outputs, output, body)

    def serve(self, model: keras.Model) -> keras.Model:  # noqa: D102 -- see Architecture
        return _with_mirror_images(model) if self.mirror else model


def _with_mirror_images(model: keras.Model) -> keras.Model:
    """The model on each image and its mirror image, as one batch of twice the size, so that weights stay single."""
    import keras

    pixels = keras.Input(model.input_shape[1:], dtype="uint8", name="pixels")
    both = keras.ops.concatenate([pixels, keras.ops.flip(pixels, axis=2)], axis=0)
    logits = keras.Model(model.input, model.get_layer(LOGITS).output, name="net")(both)
    pairs = keras.ops.reshape(logits, (2, -1, logits.shape[1]))
    mean = keras.layers.Identity(name=LOGITS)(keras.ops.mean(pairs, axis=0))
    return keras.Model(pixels, keras.layers.Activation("softmax", name="scores")(mean))


FASHION_MNIST_BEST = Recipe(
    name="fashion-mnist-best",
    title="clothes, the best net of half an hour",
    dataset="fashion-mnist",
    pixels=PixelSettings(image_size=28, colour="grayscale"),
    augmentation=Augmentation(augment=True, rotation_degrees=0, shift=0.07, shear=0, zoom=0.05, erase=0.2),
    architecture=ResidualNet(),
    training=TrainingSettings(
        epochs=18,
        batch_size=128,
        learning_rate=4e-3,
        learning_rate_schedule="one-cycle",
        weight_decay=0.02,
        label_smoothing=0.05,
        validation_split=0.05,
    ),
    target=Target(accuracy=0.94),
)
