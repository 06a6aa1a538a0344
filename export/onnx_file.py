"""Reading what an ONNX file says of itself: its signature, the files of its weights, Atelier's notes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from export.description import Description
from export.errors import ExportError
from serving.signatures import Signature, TensorSpec

if TYPE_CHECKING:
    import onnx

ONNX_SUFFIX = ".onnx"
METADATA_PREFIX = "atelier."

_DTYPES = {
    "FLOAT": "float32",
    "DOUBLE": "float64",
    **{kind.upper(): kind for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    "BOOL": "bool",
    "STRING": "string",
    "FLOAT16": "float16",
}
"""Ours by ONNX's names of element types."""


@dataclass(frozen=True)
class OnnxFacts:
    """The signature, the opset, who made the file, its `atelier.…` notes, and the names of its external data files."""

    signature: Signature
    opset: int
    producer: str
    metadata: Mapping[str, Any]
    data_files: tuple[str, ...]

    @property
    def description(self) -> Description:
        """As Atelier noted it when it wrote the file; somebody else's says nothing."""
        noted = {key: self.metadata.get(key) for key in ("task", "labels", "image")}
        try:
            return TypeAdapter(Description).validate_python({key: value for key, value in noted.items() if value})
        except ValidationError:  # somebody else's notes
            return Description()


def read_onnx(path: Path) -> OnnxFacts:
    """Reads the file, and none of its external data.

    Raises:
        ExportError: it is no ONNX model, or one that takes or gives something else than dense tensors.
        OSError: it cannot be read.
    """
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ExportError(f"{path} is no ONNX model: it is damaged or something else") from error
    if not model.HasField("graph") or not model.graph.output:
        raise ExportError(f"{path} is no ONNX model: it has no graph with an output")
    weights = {weight.name for weight in model.graph.initializer}
    try:
        inputs = tuple(_spec(value) for value in model.graph.input if value.name not in weights)
        signature = Signature(inputs, tuple(_spec(value) for value in model.graph.output))
    except ValueError as error:
        raise ExportError(f"{path} cannot be served: {error}") from error
    if not signature.inputs:
        raise ExportError(f"{path} takes no inputs, so there is nothing to ask it")
    return OnnxFacts(
        signature=signature,
        opset=max((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), default=0),
        producer=f"{model.producer_name} {model.producer_version.removesuffix(' None')}".strip(),  # tf2onnx's own
        metadata=_metadata(model),
        data_files=_data_files(model, path),
    )


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    import onnx

    if not value.type.HasField("tensor_type"):
        kind = (value.type.WhichOneof("value") or "nothing").removesuffix("_type")
        raise ValueError(f'"{value.name}" is a {kind}, expected a tensor')
    tensor = value.type.tensor_type
    name = onnx.TensorProto.DataType.Name(tensor.elem_type)
    if name not in _DTYPES:
        raise ValueError(f'"{value.name}" has the type {name}, expected one of {", ".join(_DTYPES)}')
    if not tensor.HasField("shape"):
        raise ValueError(f'"{value.name}" has an unknown rank, expected a known one')
    sizes = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    return TensorSpec(value.name, _DTYPES[name], sizes)


def _metadata(model: onnx.ModelProto) -> Mapping[str, Any]:
    """The notes that are JSON; others are not ours."""
    found = {}
    for entry in model.metadata_props:
        if entry.key.startswith(METADATA_PREFIX):
            try:
                found[entry.key.removeprefix(METADATA_PREFIX)] = json.loads(entry.value)
            except ValueError:
                continue
    return found


def _data_files(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    """Relative POSIX paths, each once, of files beside the model."""
    import onnx

    names: dict[str, None] = {}
    for weight in [*_weights(model.graph), *(weight for body in model.functions for weight in _of_nodes(body.node))]:
        if weight.data_location != onnx.TensorProto.EXTERNAL:
            continue
        name = next((entry.value for entry in weight.external_data if entry.key == "location"), "")
        inside = PurePosixPath(name)
        if not name or inside.is_absolute() or ".." in inside.parts:
            raise ExportError(f"{path} keeps weights in {name!r}, expected a file in its own folder")
        if not (path.parent / inside).is_file():
            raise ExportError(f"{path} keeps weights in {name}, which is missing beside it")
        names[inside.as_posix()] = None
    return tuple(names)


def _weights(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for graph in (attribute.g, *attribute.graphs):
            yield from _weights(graph)
