"""What the gateway needs of a runtime, once it has loaded a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from serving.signatures import Signature

Tensors = Mapping[str, np.ndarray]


class Backend(Protocol):
    """One loaded version of one model. `run` may be called from any thread, one call at a time."""

    @property
    def platform(self) -> str:
        """Runtime and model format as Triton names them, such as `onnxruntime_onnx`."""
        ...

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """The functions of the model by name."""
        ...

    def run(self, signature_name: str, inputs: Tensors) -> dict[str, np.ndarray]:
        """Answers one batch; inputs fit the signature.

        Raises:
            InvalidInputError: a value that the runtime cannot take, though dtype and shape fit.
            InferenceError: the runtime failed.
        """
        ...

    def close(self) -> None:
        """Gives the model's memory back."""
        ...
