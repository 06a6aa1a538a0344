"""A classifier of the guides: its labels are Fashion-MNIST's, and everything is an ankle boot to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serving.bundle import Manifest, record_files
from serving.images import ImageSpec
from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec

LABELS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def write_boots(version_dir: Path) -> None:
    """One version of it: uint8 `pixels` [N, 28, 28] to float32 `scores` [N, 10]."""
    version_dir.mkdir(parents=True)
    pixels, scores = TensorSpec("pixels", "uint8", (None, 28, 28)), TensorSpec("scores", "float32", (None, 10))
    weights, bias = np.zeros((784, 10), np.float32), np.float32([0] * 9 + [3])
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["pixels", "flat"], ["row"]),
            helper.make_node("Cast", ["row"], ["values"], to=TensorProto.FLOAT),
            helper.make_node("Gemm", ["values", "weights", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["scores"]),
        ],
        "boots",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", 28, 28])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])],
        [
            numpy_helper.from_array(np.array([-1, 784]), "flat"),
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, version_dir / "model.onnx")
    Manifest(
        name="fashion-mnist",
        task="classification",
        labels=LABELS,
        signatures={DEFAULT_SIGNATURE: Signature((pixels,), (scores,))},
        image=ImageSpec(28, 28, "grayscale"),
        training=None,
        metrics={},
        parity=(),
        created_at="2026-01-01T00:00:00+00:00",
        files=record_files(version_dir),
    ).write(version_dir)
