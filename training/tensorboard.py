"""A log that TensorBoard shows: `tensorboard --logdir RUN/tensorboard`.

Written with the two things that TensorFlow itself brings, its record writer and its event messages, so that TensorBoard
has to be installed only where somebody looks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

FOLDER = "tensorboard"
_PREFIX = "events.out.tfevents."
_FIRST_EVENT = "brain.Event:2"
"""What TensorBoard expects in the first record of a file."""


class EventLog:
    """Writes the figures of epochs to the one event file in `folder`; what an earlier training logged there goes."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf
        from tensorflow.core.util import event_pb2

        folder.mkdir(parents=True, exist_ok=True)
        for earlier in folder.glob(f"{_PREFIX}*"):
            earlier.unlink()
        self._writer = tf.io.TFRecordWriter(str(folder / f"{_PREFIX}{time.time_ns()}.atelier"))
        self._write(event_pb2.Event(wall_time=time.time(), file_version=_FIRST_EVENT))

    def write(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Adds the figures of an epoch, counted from 1."""
        from tensorflow.core.framework import summary_pb2
        from tensorflow.core.util import event_pb2

        summary = summary_pb2.Summary(
            value=[summary_pb2.Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        )
        self._write(event_pb2.Event(wall_time=time.time(), step=epoch, summary=summary))

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()

    def _write(self, event: object) -> None:
        self._writer.write(event.SerializeToString())  # type: ignore[attr-defined]
        self._writer.flush()
