"""`model.tflite`: `serving_default` for phones and small devices, in float32."""

from __future__ import annotations

from pathlib import Path

from export.errors import ExportError, first_line
from export.sources.base import Original
from serving.bundle_files import SAVED_MODEL, TFLITE_MODEL
from serving.signatures import DEFAULT_SIGNATURE
from training.environment import quiet_tensorflow, silent_stderr


class TFLite:
    """Converts the SavedModel as it was written; names stay, and the interpreter resizes to any batch."""

    progress = "converting to TensorFlow Lite"

    def check(self, original: Original) -> None:
        """Whether it can be converted only the converter knows."""

    def write(self, bundle: Path, original: Original) -> None:  # noqa: ARG002 - every target is told
        """Converts with operations of TensorFlow Lite alone; the same run gives the same bytes."""
        if not (bundle / SAVED_MODEL).is_file():
            raise ExportError("--tflite needs a SavedModel to convert, and an ONNX file gives none")
        quiet_tensorflow()
        import tensorflow as tf

        try:
            with silent_stderr():
                converter = tf.lite.TFLiteConverter.from_saved_model(str(bundle), signature_keys=[DEFAULT_SIGNATURE])
                content = converter.convert()
        except Exception as error:  # its own errors, and whatever its Python code stumbles on
            raise ExportError(f"the model cannot be converted to TensorFlow Lite: {first_line(error)}") from error
        (bundle / TFLITE_MODEL).write_bytes(content)
