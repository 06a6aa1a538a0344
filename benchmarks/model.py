"""The model under test, found in a models folder; what it takes, and what it has to answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime as ort

from benchmarks.session import open_session

SEED = 2020


@dataclass(frozen=True)
class Model:
    """One version of one model: what the servers load, and what the answers are held against."""

    repository: Path
    name: str
    version: int

    @property
    def onnx_file(self) -> Path:
        """`<repository>/<name>/<version>/model.onnx`."""
        return self.repository / self.name / str(self.version) / "model.onnx"

    @cached_property
    def session(self) -> ort.InferenceSession:
        """ONNX Runtime called directly: the answer that every server has to give."""
        return open_session(self.onnx_file)

    @property
    def input_name(self) -> str:
        """Name of the first input."""
        return str(self.session.get_inputs()[0].name)

    @property
    def output_name(self) -> str:
        """Name of the first output."""
        return str(self.session.get_outputs()[0].name)

    def inputs(self, rows: int) -> np.ndarray:
        """Reproducible input of shape `[rows, …]`: uint8 0-255, or float32 0-1 for a model of floats."""
        info = self.session.get_inputs()[0]
        shape = [rows, *(size if isinstance(size, int) else 1 for size in info.shape[1:])]
        pixels = np.random.default_rng(SEED).integers(0, 256, shape, dtype=np.uint8)
        return pixels if info.type == "tensor(uint8)" else (pixels / 255).astype(np.float32)

    def expected(self, inputs: np.ndarray) -> np.ndarray:
        """The first output for `inputs`, float32 `[rows, classes]`."""
        return np.asarray(self.session.run([self.output_name], {self.input_name: inputs})[0])


def find_model(repository: Path, name: str | None) -> Model:
    """The newest version of `name`, or of the first model there, that has a `model.onnx`.

    Raises:
        FileNotFoundError: there is none.
    """
    found = [
        Model(repository, path.parts[-3], int(path.parts[-2]))
        for path in repository.glob(f"{name or '*'}/*/model.onnx")
        if path.parts[-2].isdecimal()
    ]
    if not found:
        raise FileNotFoundError(f"no {name or '*'}/<version>/model.onnx under {repository}")
    first = min(model.name for model in found)
    return max((model for model in found if model.name == first), key=lambda model: model.version)
