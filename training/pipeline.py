"""From arrays in memory to batches for Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.datasets.base import Split
from training.errors import UsageError

if TYPE_CHECKING:
    import tensorflow as tf

PREFETCHED_BATCHES = 8


def hold_out(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Divides a split at random, the same way for the same seed, into the rest and the held-out fraction.

    Raises:
        UsageError: either part would be empty.
    """
    held_out = round(len(split) * fraction)
    if not 0 < held_out < len(split):
        raise UsageError(f"a validation split of {fraction} leaves one part of {len(split)} images empty")
    order = np.random.default_rng(seed).permutation(len(split))
    return split.take(order[held_out:]), split.take(order[:held_out])


def batches(split: Split, batch_size: int, *, shuffle_seed: int | None = None) -> tf.data.Dataset:
    """Batches of `(images, labels)`, each epoch in a new order where a seed is given; the last one may be smaller.

    Only the order is shuffled, element by element; the pixels are gathered a whole batch at a time.
    """
    import tensorflow as tf

    images, labels = tf.constant(split.inputs), tf.constant(split.targets)
    order = tf.data.Dataset.range(len(split))
    if shuffle_seed is not None:
        order = order.shuffle(len(split), seed=shuffle_seed)
    return (
        order.batch(batch_size)
        .map(lambda rows: (tf.gather(images, rows), tf.gather(labels, rows)), num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(PREFETCHED_BATCHES)
    )
