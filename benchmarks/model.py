"""The model under test: one from a models folder, or a small MLP with random weights, and inputs for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

MLP_NAME = "mlp"
SEED = 20_20


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


def open_session(onnx_file: Path) -> ort.InferenceSession:
    """A session with one thread: it suits single small images, and is the same in every reference server."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])


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


def write_random_mlp(repository: Path) -> Model:
    """Writes an MLP 784-128-10 with random weights: uint8 `pixels` [N, 28, 28] → float32 `scores` [N, 10]."""
    random = np.random.default_rng(SEED)

    def weights(*shape: int) -> np.ndarray:
        return np.asarray(random.standard_normal(shape) / np.sqrt(shape[0]), dtype=np.float32)

    constants = {
        "flat": np.array([-1, 784], dtype=np.int64),
        "scale": np.array(1 / 255, dtype=np.float32),
        "w1": weights(784, 128),
        "b1": weights(128),
        "w2": weights(128, 10),
        "b2": weights(10),
    }
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "flat"], ["rows"]),
        helper.make_node("Mul", ["rows", "scale"], ["scaled"]),
        helper.make_node("Gemm", ["scaled", "w1", "b1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "w2", "b2"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        MLP_NAME,
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", 28, 28])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(proto, full_check=True)
    model = Model(repository, MLP_NAME, 1)
    model.onnx_file.parent.mkdir(parents=True)
    onnx.save(proto, str(model.onnx_file))
    return model
