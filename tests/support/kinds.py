"""Models of kinds that Atelier does not train, each as ONNX and as a SavedModel: the same tensors, the same answers.

`mixed`: float32 `a` [N] and int64 `b` [N] to `sum` [N] and `twice` [N]. `counted`: int64 `numbers` [N, M] to `doubled`
and the scalar `count`. `words`: string `text` [N] to `lower`. `liking`: words, string `text` [N, W], to float32 `score`
[N] by a table of words. `halved`: a scalar `x` to `y`. `total`: float32 `x` [2, 3] to the scalar `sum`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.environment import quiet_tensorflow

LIKED: Mapping[str, float] = {"good": 1.0, "great": 2.0, "bad": -1.0}

_F, _I, _S = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
_ML = helper.make_opsetid("ai.onnx.ml", 2)


def write_onnx_kinds(models: Path) -> None:
    """Every kind as version 1 of its name."""
    node, tensor = helper.make_node, helper.make_tensor_value_info
    two = numpy_helper.from_array(np.array(2, np.int64), "two")
    half = numpy_helper.from_array(np.array(0.5, np.float32), "half")
    _save(
        models / "mixed",
        [
            node("Cast", ["b"], ["float"], to=_F),
            node("Add", ["a", "float"], ["sum"]),
            node("Mul", ["b", "two"], ["twice"]),
        ],
        [tensor("a", _F, ["N"]), tensor("b", _I, ["N"])],
        [tensor("sum", _F, ["N"]), tensor("twice", _I, ["N"])],
        two,
    )
    _save(
        models / "counted",
        [node("Mul", ["numbers", "two"], ["doubled"]), node("Size", ["numbers"], ["count"])],
        [tensor("numbers", _I, ["N", "M"])],
        [tensor("doubled", _I, ["N", "M"]), tensor("count", _I, [])],
        two,
    )
    _save(
        models / "words",
        [node("StringNormalizer", ["text"], ["lower"], case_change_action="LOWER", is_case_sensitive=0, locale="C")],
        [tensor("text", _S, ["N"])],
        [tensor("lower", _S, ["N"])],
    )
    table = {"keys_strings": list(LIKED), "values_floats": list(LIKED.values()), "default_float": 0.0}
    _save(
        models / "liking",
        [
            node("LabelEncoder", ["text"], ["weights"], domain="ai.onnx.ml", **table),
            node("ReduceSum", ["weights", "axes"], ["score"], keepdims=0),
        ],
        [tensor("text", _S, ["N", "W"])],
        [tensor("score", _F, ["N"])],
        numpy_helper.from_array(np.array([1], np.int64), "axes"),
    )
    _save(models / "halved", [node("Mul", ["x", "half"], ["y"])], [tensor("x", _F, [])], [tensor("y", _F, [])], half)
    _save(
        models / "total",
        [node("ReduceSum", ["x"], ["sum"], keepdims=0)],
        [tensor("x", _F, [2, 3])],
        [tensor("sum", _F, [])],
    )


def write_saved_model_kinds(models: Path) -> None:
    """Every kind as version 1 of its name."""
    quiet_tensorflow()
    import tensorflow as tf

    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(list(LIKED), np.float32(list(LIKED.values()))), default_value=0.0
    )
    spec = tf.TensorSpec
    kinds: dict[str, tuple[Callable[..., Any], list[Any]]] = {
        "mixed": (
            lambda a, b: {"sum": a + tf.cast(b, tf.float32), "twice": b * 2},
            [spec([None], tf.float32, "a"), spec([None], tf.int64, "b")],
        ),
        "counted": (
            lambda numbers: {"doubled": numbers * 2, "count": tf.size(numbers, tf.int64)},
            [spec([None, None], tf.int64, "numbers")],
        ),
        "words": (lambda text: {"lower": tf.strings.lower(text)}, [spec([None], tf.string, "text")]),
        "liking": (
            lambda text: {"score": tf.reduce_sum(table.lookup(text), axis=1)},
            [spec([None, None], tf.string, "text")],
        ),
        "halved": (lambda x: {"y": x * 0.5}, [spec([], tf.float32, "x")]),
        "total": (lambda x: {"sum": tf.reduce_sum(x)}, [spec([2, 3], tf.float32, "x")]),
    }
    for name, (function, signature) in kinds.items():
        module = tf.Module()
        module.table = table
        served = tf.function(function, input_signature=signature)
        tf.saved_model.save(module, str(models / name / "1"), signatures={"serving_default": served})


def _save(
    base_path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    *constants: onnx.TensorProto,
) -> None:
    graph = helper.make_graph(nodes, base_path.name, inputs, outputs, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), _ML], ir_version=9)
    base_path.joinpath("1").mkdir(parents=True)
    onnx.save(model, base_path / "1" / "model.onnx")
