"""The same TensorFlow function as an ONNX file: the same bytes whenever the same run is exported again."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import ExportError, first_line
from export.onnx_canonical import canonicalize
from export.onnx_file import METADATA_PREFIX
from serving.signatures import Signature

if TYPE_CHECKING:
    import onnx

OPSET = 17
"""Has every operator that our models need, LayerNormalization included, and per-channel quantization (since
13). A higher one would shut out runtimes for nothing: ONNX Runtime reads 17 since release 1.12 of 2022."""


def write_onnx(function: Any, signature: Signature, path: Path, *, name: str, metadata: Mapping[str, object]) -> None:
    """Converts a `tf.function` with an input signature and writes it.

    Inputs and outputs carry the signature's names and shapes; a free first dimension is called `batch`.
    `metadata` goes into the file as JSON values under `atelier.…`; the same metadata and weights give the
    same bytes, in any process.

    Raises:
        ExportError: the function uses an operation that ONNX does not have, or the outcome is not valid ONNX.
    """
    model = _convert(function)
    _set_shapes(model, signature)
    save_canonical(model, path, name=name, metadata=metadata)


def save_canonical(model: onnx.ModelProto, path: Path, *, name: str, metadata: Mapping[str, object]) -> None:
    """Writes a model as `write_onnx` does, whatever converter it comes from.

    Raises:
        ExportError: it is not valid ONNX.
    """
    import onnx

    try:
        model = canonicalize(model)
        model.graph.name = name
        model.graph.doc_string = ""
        del model.metadata_props[:]
        onnx.helper.set_model_props(
            model, {f"{METADATA_PREFIX}{key}": json.dumps(metadata[key]) for key in sorted(metadata)}
        )
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the converted ONNX model is not valid: {first_line(error)}") from error
    path.write_bytes(model.SerializeToString(deterministic=True))


def _convert(function: Any) -> onnx.ModelProto:
    import onnx
    import tf2onnx.convert

    try:
        with _silence("tf2onnx", "tensorflow"):
            model, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=OPSET)
    except Exception as error:  # whatever its many converters stumble on
        raise ExportError(f"the model cannot be converted to ONNX: {first_line(error)}") from error
    # What it cannot convert it leaves in the graph.
    unknown = sorted({node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type, node.domain)})
    if unknown:
        raise ExportError(f"the model cannot be converted to ONNX: it has no {', '.join(unknown)}")
    return model


@contextmanager
def _silence(*names: str) -> Iterator[None]:
    """Keeps loggers quiet: what they have to say of a conversion comes back as its outcome."""
    loggers = [(logger := logging.getLogger(name), logger.level) for name in names]
    for logger, _ in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in loggers:
            logger.setLevel(level)


def _set_shapes(model: onnx.ModelProto, signature: Signature) -> None:
    for kind, values, specs in (
        ("inputs", model.graph.input, signature.inputs),
        ("outputs", model.graph.output, signature.outputs),
    ):
        by_name = {value.name: value for value in values}
        received, expected = sorted(by_name), sorted(spec.name for spec in specs)
        if received != expected:
            raise ExportError(f"the converted ONNX model has {kind} {received}, expected {expected}")
        for spec in specs:
            shape = by_name[spec.name].type.tensor_type.shape
            shape.Clear()
            for axis, size in enumerate(spec.shape):
                if size is None:
                    shape.dim.add(dim_param="batch" if axis == 0 else f"{spec.name}_{axis}")
                else:
                    shape.dim.add(dim_value=size)
