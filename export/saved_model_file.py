"""Reading what a SavedModel says of itself, without TensorFlow: its signatures, of `saved_model.pb`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from export.atelier_saved_model_pb2 import MetaGraph, SavedModel, SignatureDef, TensorInfo
from export.errors import ExportError
from serving.bundle_files import SAVED_MODEL
from serving.signatures import TENSORFLOW_DTYPES, Signature, TensorSpec

SERVE = "serve"
"""The tag by which TensorFlow Serving chooses a SavedModel's graph."""
INITIALIZER = "__saved_model_init_op"
"""No function to call, but how TensorFlow 1 and 2 note what initializes the tables."""

_NAMES = {dtype.tensorflow: dtype.name for dtype in TENSORFLOW_DTYPES.values()}


@dataclass(frozen=True)
class SavedModelFacts:
    """The signatures by name, in the order of their names, and the release that wrote them.

    Signatures that `Signature` cannot express are in `unreadable`, each with its reason. `graphs` is how many graphs
    there are, of which this is the one for serving.
    """

    signatures: Mapping[str, Signature]
    unreadable: Mapping[str, str]
    tensorflow_version: str
    graphs: int


def read_saved_model(folder: Path) -> SavedModelFacts:
    """Reads the folder's `saved_model.pb`.

    Raises:
        ExportError: it is damaged, or has no graph for serving.
        OSError: it cannot be read.
    """
    path = folder / SAVED_MODEL
    message = SavedModel()
    try:
        message.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ExportError(f"{path} is damaged: it is no SavedModel") from error
    graph = _graph_for_serving(message, path)
    signatures, unreadable = {}, {}
    for name, definition in sorted(graph.signature_def.items()):
        if name == INITIALIZER:
            continue
        try:
            signatures[name] = _signature(definition)
        except ValueError as error:
            unreadable[name] = str(error)
    return SavedModelFacts(signatures, unreadable, graph.meta_info_def.tensorflow_version, len(message.meta_graphs))


def _graph_for_serving(message: SavedModel, path: Path) -> MetaGraph:
    for graph in message.meta_graphs:
        if SERVE in graph.meta_info_def.tags:
            return graph
    tags = sorted({tag for graph in message.meta_graphs for tag in graph.meta_info_def.tags})
    raise ExportError(f"{path} has no graph for serving: expected the tag {SERVE!r}, received {tags or 'none'}")


def _signature(definition: SignatureDef) -> Signature:
    inputs, outputs = (
        tuple(_spec(name, tensor) for name, tensor in sorted(tensors.items()))
        for tensors in (definition.inputs, definition.outputs)
    )
    return Signature(inputs, outputs, definition.method_name)


def _spec(name: str, tensor: TensorInfo) -> TensorSpec:
    if not tensor.name:
        raise ValueError(f'"{name}" is sparse or made of several tensors, expected one dense tensor')
    if tensor.dtype not in _NAMES:
        raise ValueError(
            f'"{name}" has TensorFlow\'s dtype {tensor.dtype}, expected one of {", ".join(TENSORFLOW_DTYPES)}'
        )
    if tensor.tensor_shape.unknown_rank:
        raise ValueError(f'"{name}" has an unknown rank, expected a known one')
    sizes = (dim.size for dim in tensor.tensor_shape.dim)
    return TensorSpec(name, _NAMES[tensor.dtype], tuple(None if size < 0 else size for size in sizes))
