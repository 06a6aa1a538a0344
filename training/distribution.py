"""One device, several, or several machines: what TensorFlow trains on, as the surroundings say.

`TF_CONFIG`, which Kubeflow's TFJob sets on every machine, names the workers; without it, all GPUs of this machine share
each batch; without several GPUs, the one device that there is.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from training.errors import UsageError

if TYPE_CHECKING:
    import tensorflow as tf

TF_CONFIG = "TF_CONFIG"
CHIEF, WORKER = "chief", "worker"


def make_strategy() -> tf.distribute.Strategy:
    """The strategy for these surroundings; with several workers it waits until all are there.

    Raises:
        UsageError: `TF_CONFIG` is not what TensorFlow expects.
    """
    import tensorflow as tf

    if worker_count() > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def worker_count() -> int:
    """How many processes train together.

    Raises:
        UsageError: `TF_CONFIG` is not what TensorFlow expects.
    """
    cluster = _config().get("cluster", {})
    return max(1, len(cluster.get(CHIEF, [])) + len(cluster.get(WORKER, [])))


def is_chief() -> bool:
    """Whether this process is the one that writes the run: the chief, or the first worker where none is called so.

    Raises:
        UsageError: `TF_CONFIG` is not what TensorFlow expects.
    """
    config = _config()
    task = config.get("task", {})
    if CHIEF in config.get("cluster", {}):
        return bool(task.get("type") == CHIEF)
    return int(task.get("index", 0)) == 0


def _config() -> dict[str, Any]:
    text = os.environ.get(TF_CONFIG)
    if not text:
        return {}
    try:
        config = json.loads(text)
        address = config["cluster"][config["task"]["type"]][config["task"]["index"]]
    except (ValueError, KeyError, IndexError, TypeError):
        address = None
    if not isinstance(address, str):
        raise UsageError(
            f'${TF_CONFIG}: expected {{"cluster": {{"worker": ["host:port", …]}}, "task": {{"type": "worker", "index": '
            f"0}}}}, received {text!r}"
        )
    return dict(config)
