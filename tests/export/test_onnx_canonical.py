"""Equal graphs become equal bytes, whatever the converter called and ordered."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from export.onnx_canonical import canonicalize


def make_model(prefix: str, *, backwards: bool = False, extra: bool = False) -> onnx.ModelProto:
    """clip(relu(x @ w), min=omitted, max=top) + bias, with all inner names prefixed."""
    node = onnx.helper.make_node
    nodes = [
        node("MatMul", ["x", f"{prefix}w"], [f"{prefix}product"], name=f"{prefix}1"),
        node("Relu", [f"{prefix}product"], [f"{prefix}positive"], name=f"{prefix}2"),
        node("Clip", [f"{prefix}positive", "", f"{prefix}top"], [f"{prefix}clipped"], name=f"{prefix}3"),
        node("Add", [f"{prefix}clipped", f"{prefix}bias"], ["y"], name=f"{prefix}4"),
    ]
    weights = {"w": np.eye(2, dtype=np.float32), "bias": np.ones(2, np.float32), "top": np.array(0.5, np.float32)}
    if extra:
        nodes.insert(0, node("Neg", ["x"], [f"{prefix}unused"]))
        weights["unused-weight"] = np.zeros(3, np.float32)
    initializers = [onnx.numpy_helper.from_array(value, prefix + name) for name, value in weights.items()]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [value("x", onnx.TensorProto.FLOAT, ["batch", 2])],
        [value("y", onnx.TensorProto.FLOAT, ["batch", 2])],
        initializer=initializers[::-1] if backwards else initializers,
    )
    opsets = [onnx.helper.make_opsetid("ai.onnx.ml", 2), onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)


def to_bytes(model: onnx.ModelProto) -> bytes:
    return bytes(model.SerializeToString(deterministic=True))


@pytest.mark.parametrize("other", [make_model("b/"), make_model("c_", backwards=True), make_model("d", extra=True)])
def test_names_orders_and_leftovers_of_the_converter_leave_no_trace(other: onnx.ModelProto) -> None:
    assert to_bytes(canonicalize(other)) == to_bytes(canonicalize(make_model("a")))


def test_the_model_means_the_same() -> None:
    import onnxruntime

    x = np.array([[-1, 0.25], [2, 3]], np.float32)
    for model in (make_model("a"), canonicalize(make_model("a"))):
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(model.SerializeToString())
        np.testing.assert_array_equal(session.run(["y"], {"x": x})[0], [[1, 1.25], [1.5, 1.5]])


def test_nodes_come_in_the_order_of_need_and_omitted_inputs_stay_omitted() -> None:
    model = canonicalize(make_model("a", extra=True))

    assert [node.op_type for node in model.graph.node] == ["MatMul", "Relu", "Clip", "Add"]
    assert list(model.graph.node[2].input) == ["Relu_0", "", "weight_1"]
    assert [weight.name for weight in model.graph.initializer] == ["weight_0", "weight_1", "weight_2"]
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]


def test_a_graph_with_control_flow_is_left_alone() -> None:
    model = make_model("a")
    branch = onnx.helper.make_graph([], "branch", [], [])
    model.graph.node.append(onnx.helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch))

    assert canonicalize(model) == model
