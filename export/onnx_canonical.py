"""One order and one set of names for equal ONNX graphs.

Converters number names with counters that run on, and emit nodes in the order of hash tables: exporting twice
gives different bytes. Here the names and the order follow from the graph's structure alone.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def canonicalize(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with nodes and weights in the order in which the outputs need them.

    Tensors are called `<Operator>_<i>` and `weight_<i>`; graph inputs and outputs keep their names. What no
    output needs is left out, as are intermediate shape notes and unused operator sets. A graph with control
    flow (a graph inside a node) is returned as it is: inner graphs may name outer tensors.
    """
    import onnx

    if any(attribute.HasField("g") or attribute.graphs for node in model.graph.node for attribute in node.attribute):
        return model
    nodes = _in_order_of_need(model.graph)
    names = _tensor_names(model.graph, nodes)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    for field in (graph.node, graph.initializer, graph.value_info):
        del field[:]
    for node in nodes:
        graph.node.append(_renamed(node, names))
    weights = {weight.name: weight for weight in model.graph.initializer}
    for old_name, new_name in names.items():
        if old_name in weights:
            weight = graph.initializer.add()
            weight.CopyFrom(weights[old_name])
            weight.name = new_name
    used = {node.domain for node in nodes} | {""}
    opsets = sorted((opset.domain, opset.version) for opset in model.opset_import if opset.domain in used)
    del result.opset_import[:]
    result.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in opsets)
    return result


def _in_order_of_need(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs need, each after those whose results it takes; depth first."""
    maker = {output: index for index, node in enumerate(graph.node) for output in node.output}
    ordered: list[int] = []
    done: set[int] = set()
    stack = [(maker[value.name], False) for value in reversed(graph.output) if value.name in maker]
    while stack:
        index, inputs_done = stack.pop()
        if index in done:
            continue
        if inputs_done:
            done.add(index)
            ordered.append(index)
            continue
        stack.append((index, True))
        stack.extend((maker[name], False) for name in reversed(graph.node[index].input) if name in maker)
    return [graph.node[index] for index in ordered]


def _tensor_names(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> dict[str, str]:
    """Old name to new name, in order of first use. The empty name, an omitted optional tensor, stays."""
    names = {"": ""} | {value.name: value.name for value in (*graph.input, *graph.output)}
    weights = {weight.name for weight in graph.initializer}
    count: Counter[str] = Counter()
    for node in nodes:
        for name in node.input:
            if name in weights and name not in names:
                names[name] = f"weight_{count['weight']}"
                count["weight"] += 1
        for name in node.output:
            if name not in names:
                names[name] = f"{node.op_type}_{count[node.op_type]}"
                count[node.op_type] += 1
    return names


def _renamed(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    import onnx

    result = onnx.NodeProto(op_type=node.op_type, domain=node.domain)
    result.input.extend(names[name] for name in node.input)
    result.output.extend(names[name] for name in node.output)
    result.name = f"{node.op_type}:{result.output[0]}"
    result.attribute.extend(sorted(node.attribute, key=lambda attribute: attribute.name))
    return result
