"""What training makes small, and the metric that people read, for each example.

Both start from the layer before the softmax or sigmoid, where no digit is lost to rounding near 0 and 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.run import Output

if TYPE_CHECKING:
    import tensorflow as tf


def loss_and_metric(
    output: Output, raw: tf.Tensor, targets: tf.Tensor, label_smoothing: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """The loss and the metric of each example, float32 `[N]` both.

    Args:
        output: `softmax` has the cross-entropy of the classes, `sigmoid` the binary one, `linear` the squared error;
            the metric is 1.0 where the most likely class is the true one, and the absolute error of `linear`.
        raw: logits `[N, classes]`, or `[N, 1]` for a sigmoid, or predictions `[N, 1]`.
        targets: int64 `[N]`, or float32 `[N, 1]` for `linear`.
        label_smoothing: the share of each target that is spread evenly over all classes.
    """
    import tensorflow as tf

    if output == "linear":
        error = tf.squeeze(raw - targets, axis=1)
        return tf.square(error), tf.abs(error)
    if output == "sigmoid":
        logits, truth = tf.squeeze(raw, axis=1), tf.cast(targets, tf.float32)
        smooth = truth * (1 - label_smoothing) + label_smoothing / 2
        guess = tf.cast(logits > 0, targets.dtype)
        loss = tf.nn.sigmoid_cross_entropy_with_logits(labels=smooth, logits=logits)
    else:
        guess = tf.argmax(raw, axis=1, output_type=targets.dtype)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=raw)
        if label_smoothing:
            everywhere = -tf.reduce_mean(tf.nn.log_softmax(raw), axis=1)
            loss = (1 - label_smoothing) * loss + label_smoothing * everywhere
    return loss, tf.cast(tf.equal(guess, targets), tf.float32)


def answers(output: Output, raw: np.ndarray) -> np.ndarray:
    """What the served model says: a probability for each class `[N, classes]`, or the predictions `[N, 1]`."""
    if output == "linear":
        return raw
    if output == "sigmoid":
        raw = np.concatenate([np.zeros_like(raw), raw], axis=1)
    grown = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))
