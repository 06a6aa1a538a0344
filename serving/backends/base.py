"""What the gateway needs of a runtime, once it has loaded a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from serving.signatures import Signature, Tensors


class AnyBackend(Protocol):
    """One loaded version of one model."""

    @property
    def platform(self) -> str:
        """Runtime and model format as Triton names them, such as `onnxruntime_onnx`."""
        ...

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """The functions of the model by name."""
        ...

    def close(self) -> None:
        """Gives the model's memory back."""
        ...


class Backend(AnyBackend, Protocol):
    """Runs in this process. `run` may be called from any thread, and from several at once."""

    def run(self, signature_name: str, inputs: Tensors) -> dict[str, np.ndarray]:
        """Answers one batch; inputs fit the signature.

        Raises:
            InvalidInputError: a value that the runtime cannot take, though dtype and shape fit.
            InferenceError: the runtime failed.
        """
        ...


class RemoteBackend(AnyBackend, Protocol):
    """Runs elsewhere. `run` is awaited on the event loop, several at once."""

    async def run(self, signature_name: str, inputs: Tensors, deadline: float | None) -> dict[str, np.ndarray]:
        """Answers one batch by `deadline`, in the event loop's time, if somebody waits no longer than that.

        Raises:
            VersionGoneError: the other side has it no longer.
            ServingError: every cause that the other side may have.
        """
        ...
