"""`serving.images.decode_image` as TensorFlow operations, so that a SavedModel takes image files by itself.

PNG and JPEG files become the pixels that the gateway and training see, bit by bit: the decoders have the same
settings, and grayscale and resizing are Pillow's integer arithmetic. Not here: turning an image upright by its
EXIF data, and the other formats.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from serving.images import MIN_SHRINKING, ImageSpec

if TYPE_CHECKING:
    import tensorflow as tf

_LUMA = (19595, 38470, 7471)
"""Weights of red, green and blue in Pillow's grayscale (ITU-R 601-2), in units of 1/65,536."""
_LUMA_BITS = 16
_WEIGHT_BITS = 22
"""Of the resize filter's weights: with eight of a pixel and one of the sign they fit int32 (Pillow's Resample.c)."""
_RATIOS = (1, 2, 4, 8)
_JPEG = b"\xff\xd8"
_PNG = b"\x89PNG"
_GRAYSCALE_OF_16_BITS = b"\x10\x00"
"""Bytes 24 and 25 of a PNG file: bits a channel, and colour type 0."""


def decode_images(encoded: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """Decodes PNG and JPEG files, string `[N]`, into uint8 pixels 0-255 `[N, *spec.shape]`.

    When it runs, a file that is none of both, or damaged, raises `tf.errors.InvalidArgumentError`.
    """
    import tensorflow as tf

    def decode(file: tf.Tensor) -> tf.Tensor:
        return _resize(_in_colour(_decode_rgb(file, spec), spec), spec)

    channels = 1 if spec.colour == "grayscale" else 3
    pixels = tf.map_fn(
        decode, encoded, fn_output_signature=tf.TensorSpec((spec.height, spec.width, channels), tf.uint8)
    )
    return tf.reshape(pixels, (-1, *spec.shape))


def _decode_rgb(file: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """uint8 `[height, width, 3]`; alpha is dropped, gray is repeated; a JPEG may be a half to an eighth as large."""
    import tensorflow as tf

    def decode(
        ratio: int = 1,
    ) -> tf.Tensor:  # the operation reads PNG too; of 16 bits it takes the upper 8, as Pillow does
        return tf.io.decode_jpeg(file, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE", fancy_upscaling=True)

    def decode_jpeg() -> tf.Tensor:
        shorter_side = tf.reduce_min(tf.image.extract_jpeg_shape(file)[:2])
        shrinking = shorter_side // (MIN_SHRINKING * max(spec.height, spec.width))
        at = tf.reduce_sum(tf.cast(shrinking >= tf.constant(_RATIOS[1:]), tf.int32))
        return tf.switch_case(at, [partial(decode, ratio) for ratio in _RATIOS])

    def decode_grayscale_of_16_bits() -> tf.Tensor:
        levels = tf.cast(tf.io.decode_png(file, channels=3, dtype=tf.uint16), tf.int32)
        return tf.cast(levels // 257, tf.uint8)  # as `decode_image` does

    header = tf.strings.substr(tf.strings.join([file, b"\0" * 26]), 0, 26)
    is_jpeg = tf.equal(tf.strings.substr(header, 0, len(_JPEG)), _JPEG)
    is_png = tf.equal(tf.strings.substr(header, 0, len(_PNG)), _PNG)
    is_grayscale_of_16_bits = tf.equal(tf.strings.substr(header, 24, 2), _GRAYSCALE_OF_16_BITS)
    return tf.case(
        [(is_jpeg, decode_jpeg), (is_png & is_grayscale_of_16_bits, decode_grayscale_of_16_bits)], default=decode
    )


def _in_colour(pixels: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    import tensorflow as tf

    if spec.colour == "rgb":
        return pixels
    return _rounded(tf.reduce_sum(tf.cast(pixels, tf.int32) * _LUMA, axis=-1, keepdims=True), _LUMA_BITS)


def _resize(pixels: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """uint8 `[spec.height, spec.width, channels]`, by one pass for each direction, with whole levels in between.

    Since release 13 Pillow starts with the height where it shrinks by more than twice the columns that the width
    loses (its pull request 9549).
    """
    import tensorflow as tf

    def height(image: tf.Tensor) -> tf.Tensor:
        return _resize_rows(image, spec.height)

    def width(image: tf.Tensor) -> tf.Tensor:
        return tf.transpose(_resize_rows(tf.transpose(image, (1, 0, 2)), spec.width), (1, 0, 2))

    shape = tf.shape(pixels)
    fewer_rows, fewer_columns = shape[0] - spec.height, shape[1] - spec.width
    return tf.case(
        [
            ((fewer_rows == 0) & (fewer_columns == 0), lambda: pixels),
            (fewer_rows > tf.maximum(0, 2 * fewer_columns), lambda: width(height(pixels))),
        ],
        default=lambda: height(width(pixels)),
    )


def _resize_rows(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """uint8 `[rows, columns, channels]` to uint8 `[size, columns, channels]`: each new row is a mean of old ones.

    The weights are a triangle as wide as two of the larger rows. An image is added up weight by weight, because a
    matrix of all weights would cost rows × size × columns.
    """
    import tensorflow as tf

    rows = tf.shape(pixels)[0]
    scale = tf.cast(rows, tf.float64) / size
    reach = tf.maximum(scale, 1.0)
    centre = (tf.range(size, dtype=tf.float64) + 0.5) * scale
    first = tf.maximum(tf.cast(centre - reach + 0.5, tf.int32), 0)
    beyond = tf.minimum(tf.cast(centre + reach + 0.5, tf.int32), rows)
    source = first[:, tf.newaxis] + tf.range(tf.reduce_max(beyond - first))
    weights = 1.0 - tf.abs(tf.cast(source, tf.float64) - centre[:, tf.newaxis] + 0.5) / reach
    weights = tf.where(source < beyond[:, tf.newaxis], tf.maximum(weights, 0.0), 0.0)
    weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
    whole_weights = tf.cast(weights * (1 << _WEIGHT_BITS) + 0.5, tf.int32)
    source = tf.minimum(source, rows - 1)  # where the weight is 0

    def add(tap: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        taken = tf.cast(tf.gather(pixels, source[:, tap]), tf.int32)
        return tap + 1, total + taken * whole_weights[:, tap, tf.newaxis, tf.newaxis]

    total = tf.zeros(tf.concat([[size], tf.shape(pixels)[1:]], axis=0), tf.int32)
    _, total = tf.while_loop(lambda tap, _: tap < tf.shape(source)[1], add, (0, total))
    return _rounded(total, _WEIGHT_BITS)


def _rounded(total: tf.Tensor, bits: int) -> tf.Tensor:
    """uint8, the nearest whole level of a sum in units of `2**-bits`; a half is rounded up."""
    import tensorflow as tf

    return tf.cast(tf.bitwise.right_shift(total + (1 << (bits - 1)), bits), tf.uint8)
