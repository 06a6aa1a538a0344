"""A Keras model, written as the SavedModel that TF Serving loads and as the same function in ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from export.description import Description
from export.onnx_model import write_onnx
from export.saved_model import make_servable, write_saved_model
from export.sources.base import Original, Progress
from serving.bundle import ONNX_MODEL
from serving.signatures import DEFAULT_SIGNATURE, Signature

if TYPE_CHECKING:
    import keras


class KerasModel:
    """A trained model in memory.

    Raises:
        ExportError: it takes or gives something else than its description says.
    """

    def __init__(self, model: keras.Model, description: Description) -> None:
        self._servable = make_servable(model, description)

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Those that the SavedModel has."""
        return self._servable.signatures

    def write(self, bundle: Path, original: Original, progress: Progress) -> None:
        """Writes the SavedModel with its labels, then `serving_default` as ONNX."""
        progress("writing the SavedModel")
        write_saved_model(self._servable, original.description.labels, bundle)
        progress("converting to ONNX")
        write_onnx(
            self._servable.functions[DEFAULT_SIGNATURE],
            self._servable.signatures[DEFAULT_SIGNATURE],
            bundle / ONNX_MODEL,
            name=original.title,
            metadata=original.metadata,
        )
