"""A Keras model, written as the SavedModel that TF Serving loads and as the same function in ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from export.onnx_beside import OnnxPolicy, write_onnx_beside
from export.saved_model import Servable, write_saved_model
from export.sources.base import Original, Progress
from export.warm_up import write_warm_up
from serving.signatures import DEFAULT_SIGNATURE, Signature


class KerasModel:
    """A model in memory, as the functions that it is served by."""

    def __init__(self, servable: Servable, onnx: OnnxPolicy = "required") -> None:
        self._servable = servable
        self._onnx = onnx

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Those that the SavedModel has."""
        return self._servable.signatures

    def write(self, bundle: Path, original: Original, progress: Progress) -> tuple[str, ...]:
        """Writes the SavedModel with its labels and its warm-up, then `serving_default` as ONNX."""
        progress("writing the SavedModel")
        write_saved_model(self._servable, original.description.labels, bundle)
        notes = write_warm_up(bundle, self.signatures, original.description.image)
        function = self._servable.functions[DEFAULT_SIGNATURE]
        return notes + write_onnx_beside(function, bundle, original, self._onnx, progress)
