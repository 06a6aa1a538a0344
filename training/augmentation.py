"""Training images, moved about: one affine transformation each, and a blanked square.

What happens to an image depends on nothing but the seed it is given, so a resumed training sees what an uninterrupted
one would have seen. All movements are composed before any pixel is touched: one interpolation instead of four.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from training.settings import Augmentation

if TYPE_CHECKING:
    import tensorflow as tf

_DRAWS = 8


def draw(examples: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """What happens to each example of a batch, as numbers in -1..1, float32 `[examples, 8]`.

    Drawn for the whole batch, of which each replica takes its part: several devices see what one would see. `seed` is
    int64 `[2]`.
    """
    import tensorflow as tf

    return tf.random.stateless_uniform((examples, _DRAWS), seed, minval=-1.0)


def augment(images: tf.Tensor, amounts: Augmentation, draws: tf.Tensor) -> tf.Tensor:
    """Moves every image of a batch in its own way.

    Where the image was moved away from, its edge is repeated; a blanked square is black.

    Args:
        images: uint8 `[N, H, W]` or `[N, H, W, 3]`.
        amounts: how far at most.
        draws: a row for each image, as `draw` gives them.

    Returns:
        uint8, as `images`.
    """
    import tensorflow as tf

    shape = tf.shape(images)
    gray = images.shape.rank == 3
    maps = images[..., None] if gray else images
    drawn = tf.unstack(draws, num=_DRAWS, axis=1)
    height, width = tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(maps, tf.float32),
        transforms=_transforms(drawn[:6], amounts, height, width),
        output_shape=shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    if amounts.erase:
        moved = tf.where(_squares(drawn[6:], amounts.erase, height, width), 0.0, moved)
    pixels = tf.cast(tf.round(moved), tf.uint8)
    return tf.squeeze(pixels, axis=3) if gray else pixels


def _transforms(draws: list[tf.Tensor], amounts: Augmentation, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Rows `a0 a1 a2 b0 b1 b2 0 0`, which tell each output pixel `(x, y)` where in the input to look.

    See TensorFlow's `ImageProjectiveTransformV3`: `(a0 x + a1 y + a2, b0 x + b1 y + b2)`.
    """
    import tensorflow as tf

    flip, turn, shift_x, shift_y, shear, zoom = draws
    angle = turn * math.radians(amounts.rotation_degrees)
    scale = 1.0 / (1.0 + zoom * amounts.zoom)
    side = tf.where(flip < 0, -1.0, 1.0) if amounts.flip else tf.ones_like(flip)
    slope = shear * amounts.shear
    # Rotation x shear x zoom, and the mirror applied to the input's x.
    a0, a1 = side * scale * tf.cos(angle), side * scale * (slope * tf.cos(angle) - tf.sin(angle))
    b0, b1 = scale * tf.sin(angle), scale * (slope * tf.sin(angle) + tf.cos(angle))
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    a2 = middle_x - a0 * middle_x - a1 * middle_y + shift_x * amounts.shift * width
    b2 = middle_y - b0 * middle_x - b1 * middle_y + shift_y * amounts.shift * height
    none = tf.zeros_like(a0)
    return tf.stack([a0, a1, a2, b0, b1, b2, none, none], axis=1)


def _squares(draws: list[tf.Tensor], side: float, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """True `[N, H, W, 1]` in a square whose middle lies anywhere in the image."""
    import tensorflow as tf

    def inside(middle: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        places = (tf.range(size) + 0.5) / size
        return tf.abs(places[None] - (middle[:, None] + 1) / 2) < side / 2

    rows, columns = inside(draws[0], height), inside(draws[1], width)
    return (rows[:, :, None] & columns[:, None, :])[..., None]
