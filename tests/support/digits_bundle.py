"""A classifier of scikit-learn's digits that needs no training: it compares with each class' mean image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

from serving.bundle import Manifest, record_files
from serving.images import ImageSpec
from serving.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, Signature, TensorSpec

_SCORES = TensorSpec("scores", "float32", (None, 10))
_LABELS = tuple("0123456789")


def write_digits_bundle(version_dir: Path, *, sums_to: float = 1.0) -> Path:
    """uint8 `pixels` [N, 8, 8] to probabilities that sum to `sums_to`; right for about 90 % of the digits.

    The nearest mean m is the largest x·m - |m|²/2.
    """
    digits = load_digits()
    means = np.stack([digits.images[digits.target == label].mean(axis=0).ravel() for label in range(10)])
    means /= 16
    weights = (means.T / 255).astype(np.float32)
    bias = (-(means**2).sum(axis=1) / 2).astype(np.float32)
    version_dir.mkdir(parents=True)
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["pixels", "flat"], ["row"]),
            helper.make_node("Cast", ["row"], ["values"], to=TensorProto.FLOAT),
            helper.make_node("Gemm", ["values", "weights", "bias"], ["sums"]),
            helper.make_node("Softmax", ["sums"], ["shares"], axis=1),
            helper.make_node("Mul", ["shares", "factor"], ["scores"]),
        ],
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])],
        [
            numpy_helper.from_array(np.array([-1, 64]), "flat"),
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(np.float32(sums_to), "factor"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(version_dir / "model.onnx"))
    Manifest(
        name=version_dir.parent.name,
        task="classification",
        labels=_LABELS,
        signatures={
            DEFAULT_SIGNATURE: Signature((TensorSpec("pixels", "uint8", (None, 8, 8)),), (_SCORES,)),
            "image_bytes": Signature((TensorSpec("image_bytes", "string", (None,)),), (_SCORES,)),
            "classify": Signature(
                (TensorSpec("inputs", "string", (None,)),),
                (TensorSpec("classes", "string", (None, 10)), _SCORES),
                CLASSIFY_METHOD,
            ),
        },
        image=ImageSpec(height=8, width=8, colour="grayscale"),
        training=None,
        metrics={},
        parity=(),
        created_at="2026-01-01T00:00:00+00:00",
        files=record_files(version_dir),
    ).write(version_dir)
    return version_dir
