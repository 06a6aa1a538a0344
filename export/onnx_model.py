"""The same TensorFlow function as an ONNX file: the same bytes whenever the same run is exported again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import ExportError
from export.onnx_canonical import canonicalize
from serving.signatures import Signature

if TYPE_CHECKING:
    import onnx

OPSET = 17
"""Has every operator that our models need, LayerNormalization included, and per-channel quantization (since
13). A higher one would shut out runtimes for nothing: ONNX Runtime reads 17 since release 1.12 of 2022."""

METADATA_PREFIX = "atelier."


def write_onnx(function: Any, signature: Signature, path: Path, *, name: str, metadata: Mapping[str, object]) -> None:
    """Converts a `tf.function` with an input signature and writes it.

    The batch dimension is free and called `batch`; inputs and outputs carry the signature's names.
    `metadata` goes into the file as JSON values under `atelier.…`; the same metadata and weights give the
    same bytes, in any process.

    Raises:
        ExportError: the function uses an operation that ONNX does not have, or the outcome is not valid ONNX.
    """
    import onnx

    model = _convert(function)
    try:
        _name_batch(model, signature)
        model = canonicalize(model)
        model.graph.name = name
        model.graph.doc_string = ""
        onnx.helper.set_model_props(
            model, {f"{METADATA_PREFIX}{key}": json.dumps(metadata[key]) for key in sorted(metadata)}
        )
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the converted ONNX model is not valid: {_first_line(error)}") from error
    path.write_bytes(model.SerializeToString(deterministic=True))


def _convert(function: Any) -> onnx.ModelProto:
    import tf2onnx.convert

    try:
        model, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=OPSET)
    except (ValueError, RuntimeError, NotImplementedError, KeyError) as error:
        raise ExportError(f"the model cannot be converted to ONNX: {_first_line(error)}") from error
    unknown = sorted({node.op_type for node in model.graph.node if node.domain not in {"", "ai.onnx.ml"}})
    if unknown:
        raise ExportError(f"the model cannot be converted to ONNX: it has no {', '.join(unknown)}")
    return model


def _name_batch(model: onnx.ModelProto, signature: Signature) -> None:
    for kind, values, specs in (
        ("inputs", model.graph.input, signature.inputs),
        ("outputs", model.graph.output, signature.outputs),
    ):
        received, expected = sorted(value.name for value in values), sorted(spec.name for spec in specs)
        if received != expected:
            raise ExportError(f"the converted ONNX model has {kind} {received}, expected {expected}")
        for value in values:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
