"""Photographs in colour: the course's convolutional nets on cats, dogs, horses, humans and flowers."""

from __future__ import annotations

from dataclasses import replace

from training.recipes.base import Recipe, Target
from training.recipes.cnn import ConvNet
from training.settings import Augmentation, PixelSettings, TrainingSettings

_RGB_150 = PixelSettings(image_size=150, colour="rgb")

CATS_VS_DOGS = Recipe(
    name="cats-vs-dogs",
    title="cats and dogs, without augmentation: overfits",
    dataset="cats-vs-dogs",
    pixels=_RGB_150,
    augmentation=Augmentation(),
    architecture=ConvNet(filters=(32, 64, 128, 128), padding="valid", layers=(512,)),
    # At a constant rate it learns its 2,000 images by heart without finding anything that holds for others.
    training=TrainingSettings(epochs=12, learning_rate_schedule="one-cycle"),
    target=Target(accuracy=0.65),
)

CATS_VS_DOGS_AUGMENTED = replace(
    CATS_VS_DOGS,
    name="cats-vs-dogs-augmented",
    title="cats and dogs, with augmentation and dropout",
    augmentation=Augmentation(augment=True, rotation_degrees=20, shift=0.1, shear=0.1),
    architecture=ConvNet(filters=(32, 64, 128, 128), padding="valid", layers=(512,), dropout=0.5),
    training=TrainingSettings(epochs=50, learning_rate_schedule="one-cycle"),
    target=Target(accuracy=0.80),
)

CATS_VS_DOGS_SIGMOID = replace(
    CATS_VS_DOGS,
    name="cats-vs-dogs-sigmoid",
    title="cats and dogs, one sigmoid output",
    output="sigmoid",
)

HORSES_OR_HUMANS = Recipe(
    name="horses-or-humans",
    title="rendered horses and humans, one sigmoid output",
    dataset="horses-or-humans",
    pixels=PixelSettings(image_size=300, colour="rgb"),
    # Without augmentation it knows every training image by heart after ten epochs, and 87 % of the others.
    augmentation=Augmentation(augment=True, rotation_degrees=10, shift=0.1, shear=0.1, zoom=0.1),
    architecture=ConvNet(filters=(16, 32, 64, 64, 64), padding="valid", layers=(512,), dropout=0.5),
    training=TrainingSettings(epochs=20, learning_rate_schedule="one-cycle"),
    output="sigmoid",
    target=Target(accuracy=0.95),
)

FLOWERS = Recipe(
    name="flowers",
    title="five kinds of flowers, with augmentation and dropout",
    dataset="flowers",
    pixels=_RGB_150,
    augmentation=Augmentation(augment=True, rotation_degrees=20, shift=0.1, shear=0.1),
    architecture=ConvNet(filters=(16, 32, 64, 64), layers=(512,), dropout=0.2),
    training=TrainingSettings(epochs=60, learning_rate_schedule="one-cycle"),
    target=Target(accuracy=0.70),
)

FOLDER = Recipe(
    name="folder",
    title="your own images: one folder for each class, given by --data",
    dataset="folder",
    pixels=PixelSettings(image_size=128, colour="rgb"),
    augmentation=Augmentation(augment=True, rotation_degrees=15, shift=0.1, shear=0.1),
    architecture=ConvNet(filters=(32, 64, 128, 128), layers=(256,), dropout=0.3),
    training=TrainingSettings(epochs=30, learning_rate_schedule="one-cycle", validation_split=0.15),
    target=Target(),
)
