"""Trains a small net with convolutions and batch normalization, which no recipe has.

python -m tests.support.training_script OUT     to OUT, alone or as a worker, as TF_CONFIG says
python -m tests.support.training_script OUT 2   the same on two devices, into which the processor is split
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console

from training import trainer
from training.cluster import Cluster, read_cluster
from training.datasets import load_dataset
from training.environment import quiet_tensorflow
from training.progress import progress_on
from training.recipes import Recipe, find_recipe
from training.recipes.best import ResidualNet


def small_net() -> Recipe:
    """`digits-dense` with another architecture, three epochs of it."""
    recipe = find_recipe("digits-dense").with_settings({"epochs": 3, "learning_rate_schedule": "cosine"})
    return dataclasses.replace(recipe, architecture=ResidualNet(stem=4, filters=(8,), dropout=0.0))


def split_processor(devices: int) -> None:
    """Makes the trainer find so many devices, which nobody has without GPUs."""
    quiet_tensorflow()
    import tensorflow as tf

    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * devices)

    @contextlib.contextmanager
    def mirrored(_cluster: Cluster, _say: Callable[[str], None]) -> Iterator[tf.distribute.Strategy]:
        yield tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(devices)])

    trainer.strategy_for = mirrored


def main(out: str, devices: str = "1") -> None:
    """Trains; leaves a run folder, or nothing where another process is the chief."""
    if int(devices) > 1:
        split_processor(int(devices))
    cluster, progress = read_cluster(), progress_on(Console(quiet=True))
    digits = load_dataset("digits")
    if cluster.is_chief:
        trainer.train(small_net(), digits, out=Path(out), progress=progress, cluster=cluster)
    else:
        trainer.assist(small_net(), digits, progress=progress, cluster=cluster)


if __name__ == "__main__":
    main(*sys.argv[1:])
