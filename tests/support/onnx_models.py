"""Small ONNX models made on the spot, with answers that a test can compute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = ("zero", "one", "two")


def write_brightness_model(version_dir: Path, *, scale: float = 1.0, batch: int | None = None) -> Path:
    """A classifier whose answer tells the request: uint8 `pixels` [N, 2, 2] to float32 `scores` [N, 3].

    The scores of a row are `scale` times (its mean, its first pixel, its last pixel).
    """
    weights = np.float32([[0.25, 1, 0], [0.25, 0, 0], [0.25, 0, 0], [0.25, 0, 1]]) * np.float32(scale)
    return write_linear_model(version_dir, weights, batch=batch)


def write_linear_model(version_dir: Path, weights: np.ndarray, *, batch: int | None = None) -> Path:
    """uint8 `pixels` [N, 2, 2] to float32 `scores` [N, classes]: the pixels times the `weights` [4, classes]."""
    version_dir.mkdir(parents=True, exist_ok=True)
    rows: int | str = batch if batch is not None else "N"
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["pixels", "flat"], ["row"]),
            helper.make_node("Cast", ["row"], ["values"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["values", "weights"], ["scores"]),
        ],
        "brightness",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [rows, 2, 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [rows, weights.shape[1]])],
        [numpy_helper.from_array(np.array([-1, 4]), "flat"), numpy_helper.from_array(weights, "weights")],
    )
    return _save(graph, version_dir)


def write_identity_model(
    version_dir: Path, dtype: int, shape: Sequence[int | str] | None, *, names: tuple[str, str] = ("x", "y")
) -> Path:
    """`x` to `y`, or as they are called in `names`, unchanged, of any ONNX dtype and shape, None for any rank."""
    version_dir.mkdir(parents=True, exist_ok=True)
    taken, given = names
    graph = helper.make_graph(
        [helper.make_node("Identity", [taken], [given])],
        "identity",
        [helper.make_tensor_value_info(taken, dtype, shape)],
        [helper.make_tensor_value_info(given, dtype, shape)],
    )
    return _save(graph, version_dir)


def write_node_model(
    version_dir: Path, operator: str, inputs: Sequence[str], answer: Sequence[int | str], **attributes: int
) -> Path:
    """One operator: float32 `x` [N, 1] to float32 `y` of shape [N, *answer]."""
    version_dir.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["y"], **attributes)],
        operator,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *answer])],
    )
    return _save(graph, version_dir)


def write_row_maximum_model(version_dir: Path) -> Path:
    """float32 `x` [N, M] to float32 `y` [N, 1]: the largest number of each row."""
    version_dir.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        [helper.make_node("ReduceMax", ["x"], ["y"], axes=[1])],
        "row_maximum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "M"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
    )
    return _save(graph, version_dir)


def write_two_input_model(version_dir: Path) -> Path:
    """float32 `a` [N] and `b` [N] to `sum` [N] and `difference` [N]."""
    version_dir.mkdir(parents=True, exist_ok=True)
    names = ("a", "b"), ("sum", "difference")
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])],
        "two_inputs",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in names[0]],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in names[1]],
    )
    return _save(graph, version_dir)


def write_gather_model(version_dir: Path, *, first_row: int, rows: int) -> Path:
    """int64 `i` [N] to float32 `y` [N]: row `first_row + i` of the table 0, 1 … of `rows` rows; fails outside."""
    version_dir.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["i", "first"], ["index"]),
            helper.make_node("Gather", ["table", "index"], ["y"]),
        ],
        "gather",
        [helper.make_tensor_value_info("i", TensorProto.INT64, ["N"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N"])],
        [
            numpy_helper.from_array(np.array([first_row]), "first"),
            numpy_helper.from_array(np.arange(rows, dtype=np.float32), "table"),
        ],
    )
    return _save(graph, version_dir)


def expected_scores(pixels: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """What `write_brightness_model` answers."""
    flat = pixels.reshape(-1, 4).astype(np.float32)
    return np.stack([flat.mean(axis=1), flat[:, 0], flat[:, 3]], axis=1) * np.float32(scale)


def _save(graph: onnx.GraphProto, version_dir: Path) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, version_dir / "model.onnx")
    return version_dir
