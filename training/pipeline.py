"""From examples in memory, or in a mapped file, to batches on the devices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.augmentation import augment, draw
from training.datasets.base import Split
from training.settings import Augmentation

if TYPE_CHECKING:
    import tensorflow as tf

PREFETCHED_BATCHES = 8
EVALUATION_BATCH_BYTES = 8 * 2**20
MAX_EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Share:
    """The replicas of this process, `first` up to and without `end`, among the `of` that share every batch."""

    first: int = 0
    end: int = 1
    of: int = 1


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """How many batches an epoch has; the last one may be smaller."""
    return math.ceil(len(split) / batch_size)


def training_batches(
    split: Split, batch_size: int, *, epochs: range, seed: int, augmentation: Augmentation | None, share: Share
) -> tf.data.Dataset:
    """Every batch of these epochs, one after the other: `(inputs, targets, examples in the whole batch)`.

    An epoch's order, and what augmentation does, follow from the seed, the epoch and the step alone, so training may be
    taken up at any epoch. The examples of a batch are dealt out to the replicas in equal runs.
    """
    import tensorflow as tf

    steps = steps_per_epoch(split, batch_size)
    run_seed = tf.constant(seed, tf.int64)

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        rows = tf.range(len(split), dtype=tf.int64)
        order = tf.random.experimental.stateless_shuffle(rows, seed=tf.stack([run_seed, epoch]))
        return _dealt(order, batch_size, steps, share).map(
            lambda batch, mine, step: (batch, mine, tf.stack([run_seed, epoch * steps + step]))
        )

    fetch = _fetcher(split)

    def load(batch: tf.Tensor, mine: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        inputs, targets = fetch(batch[mine[0] : mine[1]])
        if augmentation is not None and augmentation.augment:
            inputs = augment(inputs, augmentation, draw(tf.size(batch), key)[mine[0] : mine[1]])
        return inputs, targets, tf.cast(tf.size(batch), tf.float32)

    return (
        tf.data.Dataset.range(epochs.start, epochs.stop)
        .flat_map(one_epoch)
        .map(load, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(PREFETCHED_BATCHES)
    )


def evaluation_batches(split: Split, share: Share = Share()) -> tf.data.Dataset:
    """The whole split once, in order, in batches that are small in memory: as `training_batches` gives them."""
    import tensorflow as tf

    batch_size = evaluation_batch_size(split)
    fetch = _fetcher(split)

    def load(batch: tf.Tensor, mine: tf.Tensor, _step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        inputs, targets = fetch(batch[mine[0] : mine[1]])
        return inputs, targets, tf.cast(tf.size(batch), tf.float32)

    dealt = _dealt(tf.range(len(split), dtype=tf.int64), batch_size, steps_per_epoch(split, batch_size), share)
    return dealt.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def evaluation_batch_size(split: Split) -> int:
    """As many examples as fit into 8 MiB, at least one, at most 500."""
    bytes_each = max(1, int(split.inputs[0].nbytes))
    return max(1, min(MAX_EVALUATION_BATCH, EVALUATION_BATCH_BYTES // bytes_each))


def _dealt(order: tf.Tensor, batch_size: int, steps: int, share: Share) -> tf.data.Dataset:
    """For each step, and each replica of the share: the batch's rows, which of them are the replica's, and the step."""
    import tensorflow as tf

    def rows_of(place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        step, replica = place // replicas, share.first + place % replicas
        batch = order[step * batch_size : (step + 1) * batch_size]
        examples = tf.size(batch, out_type=tf.int64)
        mine = tf.stack([examples * replica // share.of, examples * (replica + 1) // share.of])
        return batch, mine, step

    replicas = share.end - share.first
    return tf.data.Dataset.range(steps * replicas).map(rows_of)


def _fetcher(split: Split):  # type: ignore[no-untyped-def]
    """A function from row numbers to inputs and targets, for use inside of a graph."""
    import tensorflow as tf

    targets = tf.constant(split.targets)
    if isinstance(split.inputs, np.memmap):
        mapped = split.inputs

        def read(rows: tf.Tensor) -> tf.Tensor:
            inputs = tf.numpy_function(lambda numbers: mapped[numbers], [rows], tf.uint8, stateful=False)
            return tf.ensure_shape(inputs, (None, *mapped.shape[1:]))

        return lambda rows: (read(rows), tf.gather(targets, rows))
    inputs = tf.constant(split.inputs)
    return lambda rows: (tf.gather(inputs, rows), tf.gather(targets, rows))
