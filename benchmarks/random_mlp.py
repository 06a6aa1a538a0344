"""A small MLP with random weights, for when no models folder is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.model import SEED, Model

NAME = "mlp"


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
        NAME,
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", 28, 28])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(proto, full_check=True)
    model = Model(repository, NAME, 1)
    model.onnx_file.parent.mkdir(parents=True)
    onnx.save(proto, str(model.onnx_file))
    return model
