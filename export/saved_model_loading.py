"""Loading a SavedModel with TensorFlow, whatever release of it wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from export.errors import ExportError, first_line
from export.saved_model_file import SERVE, read_saved_model


def load_saved_model(folder: Path) -> Any:
    """TensorFlow's object with the `signatures` of the graph for serving.

    It has to be kept as long as its functions are used: they do not keep the variables alive that they read.

    Raises:
        ExportError: TensorFlow cannot load it: a file is missing or damaged, or it has operations of another release.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    several = read_saved_model(folder).graphs > 1  # TensorFlow wants to be told which, and else not to be told
    try:
        return tf.saved_model.load(str(folder), tags=[SERVE] if several else None)
    except (tf.errors.OpError, OSError, ValueError, KeyError, TypeError, AttributeError, DecodeError) as error:
        raise ExportError(f"TensorFlow cannot load the SavedModel: {first_line(error)}") from error
