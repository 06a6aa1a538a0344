"""Small models with random weights, for when no models folder is given: a bundle each, with what images need.

`write_saved_model` adds the same MLP for TensorFlow Serving, where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.model import SEED, Model
from benchmarks.processes import StartError
from serving.bundle import Manifest, record_files
from serving.images import ImageSpec
from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec

SIDE = 28
CLASSES = 10
SCORES = TensorSpec("scores", "float32", (None, CLASSES))


def write_random_mlp(repository: Path, *, side: int = SIDE, name: str = "mlp") -> Model:
    """An MLP 784-128-10: uint8 `pixels` [N, side, side] → float32 `scores` [N, 10].

    Images of another side, which is a multiple of 28, are averaged down to 28 first.
    """
    constants: dict[str, np.ndarray] = {
        "shape": np.array([-1, 1, side, side], dtype=np.int64),
        "flat": np.array([-1, SIDE * SIDE], dtype=np.int64),
        "scale": np.array(1 / 255, dtype=np.float32),
        **mlp_weights(),
    }
    step = side // SIDE
    pooled = [
        helper.make_node("Reshape", ["floats", "shape"], ["planes"]),
        helper.make_node("AveragePool", ["planes"], ["small"], kernel_shape=[step, step], strides=[step, step]),
    ]
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        *(pooled if step > 1 else []),
        helper.make_node("Reshape", ["small" if step > 1 else "floats", "flat"], ["rows"]),
        helper.make_node("Mul", ["rows", "scale"], ["scaled"]),
        helper.make_node("Gemm", ["scaled", "w1", "b1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "w2", "b2"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [SCORES.name], axis=-1),
    ]
    if step == 1:
        del constants["shape"]
    return _write(repository, name, nodes, constants, ImageSpec(side, side, "grayscale"))


def mlp_weights() -> dict[str, np.ndarray]:
    """`w1` [784, 128], `b1` [128], `w2` [128, 10] and `b2` [10], always the same."""
    random = np.random.default_rng(SEED)
    shapes = {"w1": (SIDE * SIDE, 128), "b1": (128,), "w2": (128, CLASSES), "b2": (CLASSES,)}
    return {name: _weights(random, shape, shape[0]) for name, shape in shapes.items()}


def write_random_cnn(repository: Path) -> Model:
    """Two 3×3 convolutions of 32 and 64 filters with max pooling, dense 10: the same input and output as the MLP's."""
    random = np.random.default_rng(SEED)
    constants: dict[str, np.ndarray] = {
        "shape": np.array([-1, 1, SIDE, SIDE], dtype=np.int64),
        "scale": np.array(1 / 255, dtype=np.float32),
        "k1": _weights(random, (32, 1, 3, 3), 9),
        "c1": _weights(random, (32,), 32),
        "k2": _weights(random, (64, 32, 3, 3), 288),
        "c2": _weights(random, (64,), 64),
        "w": _weights(random, (64 * 5 * 5, CLASSES), 1600),
        "b": _weights(random, (CLASSES,), CLASSES),
    }
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "shape"], ["planes"]),
        helper.make_node("Mul", ["planes", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "k1", "c1"], ["first"]),
        helper.make_node("Relu", ["first"], ["first_active"]),
        helper.make_node("MaxPool", ["first_active"], ["first_pooled"], **pool),
        helper.make_node("Conv", ["first_pooled", "k2", "c2"], ["second"]),
        helper.make_node("Relu", ["second"], ["second_active"]),
        helper.make_node("MaxPool", ["second_active"], ["second_pooled"], **pool),
        helper.make_node("Flatten", ["second_pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "w", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [SCORES.name], axis=-1),
    ]
    return _write(repository, "cnn", nodes, constants, ImageSpec(SIDE, SIDE, "grayscale"))


def write_saved_model(model: Model) -> None:
    """Adds the random MLP's weights as a SavedModel beside its ONNX model, unless the version has one already.

    Raises:
        StartError: it is another model.
    """
    folder = model.onnx_file.parent
    if (folder / "saved_model.pb").exists():
        return
    if model.name != "mlp":
        raise StartError(f"{model.name} has no SavedModel; give a bundle with one by --models")
    import tensorflow as tf

    w1, b1, w2, b2 = (tf.constant(value) for value in mlp_weights().values())

    def scores(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        flat = tf.cast(tf.reshape(pixels, (-1, SIDE * SIDE)), tf.float32) / 255
        return {SCORES.name: tf.nn.softmax(tf.nn.relu(flat @ w1 + b1) @ w2 + b2)}

    traced = tf.function(scores, input_signature=[tf.TensorSpec((None, SIDE, SIDE), tf.uint8, "pixels")])
    tf.saved_model.save(tf.Module(), str(folder), {DEFAULT_SIGNATURE: traced})


WRITERS: Mapping[str, Callable[[Path], Model]] = {"mlp": write_random_mlp, "cnn": write_random_cnn}


def _weights(random: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    return np.asarray(random.standard_normal(shape) / np.sqrt(fan_in), dtype=np.float32)


def _write(
    repository: Path, name: str, nodes: list[onnx.NodeProto], constants: Mapping[str, np.ndarray], image: ImageSpec
) -> Model:
    pixels = TensorSpec("pixels", "uint8", (None, *image.shape))
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(pixels.name, TensorProto.UINT8, ["N", *image.shape])],
        [helper.make_tensor_value_info(SCORES.name, TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(proto, full_check=True)
    model = Model(repository, name, 1)
    folder = model.onnx_file.parent
    folder.mkdir(parents=True)
    onnx.save(proto, str(model.onnx_file))
    Manifest(
        name=name,
        task="classification",
        labels=tuple(f"class {number}" for number in range(CLASSES)),
        signatures={DEFAULT_SIGNATURE: Signature((pixels,), (SCORES,))},
        image=image,
        training=None,
        metrics={},
        parity=(),
        created_at="2026-01-01T00:00:00+00:00",
        files=record_files(folder),
    ).write(folder)
    return model
