"""One device, several, or several machines: what TensorFlow trains on, as the surroundings say.

The processes of a cluster share each batch; without others, all GPUs of this machine do; without several GPUs, there is
the one device. Only the chief has the run's files: what the others need of them comes over the network.

Losses and weights are those of one device with the same batches, to rounding, but where a model has dropout: each
replica draws what it leaves out for its own examples.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.cluster import Cluster
from training.errors import TrainingError
from training.pipeline import Share
from training.rendezvous import meet

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

WAIT_TIMEOUT_S = 600.0
"""How long a process waits for the others, which may still be starting or loading data."""
_WORD_BYTES = 4


@contextlib.contextmanager
def strategy_for(cluster: Cluster, say: Callable[[str], None]) -> Iterator[tf.distribute.Strategy]:
    """The strategy for these surroundings; TensorFlow must not have done anything in this process yet.

    With a cluster it waits until all processes are there, which `say` is told; afterwards all of them fail when one
    ends (TensorFlow notices within about 10 s).

    Raises:
        TrainingError: the others did not come or are gone, or this process cannot listen at its address.
    """
    import tensorflow as tf

    if not cluster.has_others:
        gpus = len(tf.config.list_physical_devices("GPU"))
        yield tf.distribute.MirroredStrategy() if gpus > 1 else tf.distribute.get_strategy()
        return
    lost = (
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.InternalError,
        tf.errors.UnavailableError,
    )
    others = ", ".join(address for address in cluster.addresses if address != cluster.address)
    say(f"{cluster.name}, at {cluster.address}: waits for {others}")
    try:
        yield _connect(cluster)
    except lost as error:
        raise TrainingError(
            f"{cluster.name} lost the others ({others}): one of them ended, or the network did; start all of them "
            "again, with --resume to go on after the last saved epoch"
        ) from error


def _connect(cluster: Cluster) -> tf.distribute.Strategy:
    import tensorflow as tf

    meet(cluster, WAIT_TIMEOUT_S)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.UnknownError as error:
        raise TrainingError(f"{cluster.name} cannot listen at {cluster.address}: {error.message}") from error
    except RuntimeError as error:  # as after a data set that TensorFlow itself has read
        raise TrainingError(f"{cluster.name} cannot train with others: {error}") from error
    if threading.current_thread() is threading.main_thread():
        # TensorFlow takes SIGTERM for itself when it connects, and then does nothing about it.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    return strategy


def normalize_whole_batches(model: keras.Model) -> None:
    """Lets batch normalization look at the examples of all replicas, not of each by itself."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def share_of(context: tf.distribute.InputContext) -> Share:
    """Which replicas the process has that this context's batches are for; every process has equally many."""
    local = context.num_replicas_in_sync // context.num_input_pipelines
    first = context.input_pipeline_id * local
    return Share(first, first + local, context.num_replicas_in_sync)


def copy_from_chief(folder: Path, names: Sequence[str], cluster: Cluster, strategy: tf.distribute.Strategy) -> None:
    """Puts the chief's files of these names into the other processes' folders; all have to call it.

    Raises:
        OSError: a file cannot be read or written.
    """
    for name in names if cluster.has_others else ():
        path = folder / name
        held = _from_chief(path.read_bytes() if cluster.is_chief and path.exists() else b"", strategy)
        if held and not cluster.is_chief:
            path.write_bytes(held)


def _from_chief(content: bytes, strategy: tf.distribute.Strategy) -> bytes:
    """What the chief has as `content`; the others' is ignored. Sent as a sum in which theirs is zero."""
    length = int(_sum_from_chief(np.array([len(content)]), strategy)[0])
    if length == 0:
        return b""
    words = np.zeros(-(-length // _WORD_BYTES), np.int32)
    words.view(np.uint8)[: len(content)] = np.frombuffer(content, np.uint8)
    return _sum_from_chief(words, strategy).tobytes()[:length]


def _sum_from_chief(values: np.ndarray, strategy: tf.distribute.Strategy) -> np.ndarray:
    import tensorflow as tf

    def of_replica(context: tf.distribute.ValueContext) -> tf.Tensor:
        return tf.constant(values if context.replica_id_in_sync_group == 0 else np.zeros_like(values))

    everyones = strategy.experimental_distribute_values_from_function(of_replica)
    return np.asarray(strategy.reduce(tf.distribute.ReduceOp.SUM, everyones, axis=None))
