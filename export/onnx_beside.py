"""`model.onnx` beside the SavedModel: always for our own models, for others where ONNX has their operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from export.errors import ExportError
from export.onnx_model import write_onnx
from export.runtimes import OnnxRuntime
from export.sources.base import Original, Progress
from serving.bundle_files import ONNX_MODEL
from serving.signatures import DEFAULT_SIGNATURE

OnnxPolicy = Literal["required", "wanted", "unwanted"]
"""Whether a model that ONNX cannot express is refused, published without, or not even tried."""


def write_onnx_beside(
    function: Any, bundle: Path, original: Original, policy: OnnxPolicy, progress: Progress
) -> tuple[str, ...]:
    """Writes `serving_default`, a `tf.function` with an input signature, as the policy wants it.

    Returns:
        Why there is no `model.onnx`, if there is none.

    Raises:
        ExportError: there cannot be one, and it is required.
    """
    path, signature = bundle / ONNX_MODEL, original.model.signatures[DEFAULT_SIGNATURE]
    without = f"there is no {ONNX_MODEL}, so that it takes TensorFlow Serving or the tensorflow back end to serve it"
    if policy == "unwanted":
        return (without,)
    progress("converting to ONNX")
    try:
        write_onnx(function, signature, path, name=original.title, metadata=original.metadata)
        if policy == "wanted":
            OnnxRuntime(bundle, signature)  # it may have the operation, and not on this machine
    except ExportError as error:
        if policy == "required":
            raise
        path.unlink(missing_ok=True)
        return (f"{without}: {error}",)
    return ()
