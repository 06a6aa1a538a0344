"""Images as serving has them, uint8 pixels, for Keras models that were made for floats or with a channel axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from export.description import Description
from export.errors import ExportError, WrongUseError
from serving.signatures import format_shape

if TYPE_CHECKING:
    import keras

PixelRange = Literal["0..1", "-1..1", "0..255"]
"""What black and white are for the model."""

_SCALES: dict[PixelRange, tuple[float, float]] = {
    "0..1": (1 / 255, 0.0),
    "-1..1": (2 / 255, -1.0),
    "0..255": (1.0, 0.0),
}
"""Factor and summand."""


def taking_pixels(model: keras.Model, description: Description, pixels: PixelRange) -> keras.Model:
    """The model from `pixels`, uint8 `[N, *image.shape]`, to its `scores`.

    Raises:
        WrongUseError: the image's size or the classes are not known.
        ExportError: the model takes no such images, or gives several outputs.
    """
    import keras

    image = description.image
    if image is None or not description.labels:
        raise WrongUseError("--pixels needs the size of the images and the classes: expected --image-size and --labels")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ExportError(
            f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs, expected one of each"
        )
    (taken,) = model.inputs
    channels = 1 if image.colour == "grayscale" else 3
    with_channels = (image.height, image.width, channels)
    wanted = tuple(taken.shape[1:])
    if not any(_fits(wanted, shape) for shape in (image.shape, with_channels)):
        raise ExportError(
            f"the model takes {taken.dtype} {format_shape(tuple(taken.shape))}, "
            f"expected images {format_shape((None, *with_channels))}"
        )
    given = keras.Input(image.shape, dtype="uint8", name="pixels")
    factor, summand = _SCALES[pixels]
    values = keras.layers.Rescaling(factor, summand, dtype="float32", name="from_pixels")(given)
    if len(wanted) == len(with_channels):
        values = keras.layers.Reshape(with_channels, name="with_channels")(values)
    if taken.dtype != "float32":
        values = keras.ops.cast(values, taken.dtype)
    return keras.Model(given, model(values))


def _fits(wanted: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    return len(wanted) == len(shape) and all(size in (None, other) for size, other in zip(wanted, shape, strict=True))
