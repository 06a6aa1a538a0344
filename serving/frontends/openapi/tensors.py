"""Tensors of TensorFlow Serving's REST bodies as JSON Schemas, exact in shape, type and range, with examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec, format_shape

Schema = dict[str, Any]

EXAMPLE_MAX_VALUES = 4096
"""A longer example would only hide what it shows; the page makes one from the schema."""

_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
B64: Schema = {
    "type": "object",
    "properties": {"b64": {"type": "string", "contentEncoding": "base64", "pattern": _BASE64}},
    "required": ["b64"],
    "additionalProperties": False,
}


def predict_request(signatures: dict[str, Signature]) -> Schema:
    """Bodies of `:predict`: rows or columns of any of the signatures."""
    forms = [form for name, signature in signatures.items() for form in _request_forms(name, signature)]
    return {"oneOf": forms} if len(forms) > 1 else forms[0]


def predict_response(signatures: dict[str, Signature]) -> Schema:
    """Answers of `:predict`: `predictions` to rows, `outputs` to columns."""
    forms = []
    for signature in signatures.values():
        columns: Schema = {spec.name: column(spec, _answered(spec)) for spec in signature.outputs}
        forms.append(object_of({"outputs": _only_or_all(columns)}))
        if rows := _rows(signature.outputs, _answered):
            forms.append(object_of({"predictions": rows}))
    return {"anyOf": forms}


def predict_example(signature_name: str, signature: Signature, string: Any = "text") -> Schema | None:
    """A body of one row that the model answers, of `string` where it takes strings; None where it would be too long."""
    if any(_values(spec) > EXAMPLE_MAX_VALUES for spec in signature.inputs):
        return None
    named = {} if signature_name == DEFAULT_SIGNATURE else {"signature_name": signature_name}
    columns = {spec.name: example_of(spec, string) for spec in signature.inputs}
    if any(spec.shape[:1] != (None,) for spec in (*signature.inputs, *signature.outputs)):
        return {**named, "inputs": next(iter(columns.values())) if len(columns) == 1 else columns}
    rows = {name: column[0] for name, column in columns.items()}
    return {**named, "instances": [next(iter(rows.values())) if len(rows) == 1 else rows]}


def object_of(required: Schema, optional: Schema | None = None, also_required: tuple[str, ...] = ()) -> Schema:
    """An object of these properties and no others."""
    return {
        "type": "object",
        "properties": {**(optional or {}), **required},
        "required": [*also_required, *required],
        "additionalProperties": False,
    }


def describe(signature: Signature) -> str:
    """`pixels uint8 [?, 28, 28] → scores float32 [?, 10]`."""
    taken, given = (
        ", ".join(f"{spec.name} {spec.dtype} {format_shape(spec.shape)}" for spec in specs)
        for specs in (signature.inputs, signature.outputs)
    )
    return f"{taken} → {given}"


def _request_forms(name: str, signature: Signature) -> list[Schema]:
    named: Schema = {"signature_name": {"const": name}}
    required = () if name == DEFAULT_SIGNATURE else ("signature_name",)
    columns = {spec.name: column(spec, values_taken(spec)) for spec in signature.inputs}
    forms = [object_of({"inputs": _only_or_all(columns, also_named=True)}, named, required)]
    has_scalar_answer = any(not (spec.shape or spec.any_rank) for spec in signature.outputs)
    if not has_scalar_answer and (rows := _rows(signature.inputs, values_taken, also_named=True)):
        forms.insert(0, object_of({"instances": rows}, named, required))
    return forms


def _rows(specs: tuple[TensorSpec, ...], element: Any, *, also_named: bool = False) -> Schema | None:
    """A list of rows; None where a tensor has no dimension of rows."""
    if not all(spec.shape for spec in specs):
        return None
    size = next((spec.shape[0] for spec in specs if spec.shape[0] is not None), None)
    rows = {spec.name: _nested(spec.shape[1:], element(spec)) for spec in specs}
    whole = _list(object_of(rows), size)
    if len(rows) > 1:
        return whole
    bare = _list(next(iter(rows.values())), size)
    return {"oneOf": [bare, whole]} if also_named else bare


def _only_or_all(columns: Schema, *, also_named: bool = False) -> Schema:
    whole = object_of(columns)
    if len(columns) > 1:
        return whole
    bare: Schema = next(iter(columns.values()))
    return {"oneOf": [bare, whole]} if also_named else bare


def column(spec: TensorSpec, element: Schema) -> Schema:
    """A whole tensor of such elements."""
    if not spec.shape:
        return element
    return _list(_nested(spec.shape[1:], element), spec.shape[0])


def _list(items: Schema, size: int | None) -> Schema:
    """The dimension of rows, of which a request has at least one."""
    return {"type": "array", "items": items, "minItems": size or 1} | ({} if size is None else {"maxItems": size})


def _nested(shape: tuple[int | None, ...], element: Schema) -> Schema:
    for size in reversed(shape):
        bounds = {} if size is None else {"minItems": size, "maxItems": size}
        element = {"type": "array", "items": element, **bounds}
    return element


def values_taken(spec: TensorSpec) -> Schema:
    """One value of a tensor that is sent."""
    kind = spec.element.kind
    if spec.element.is_string:
        return {"oneOf": [{"type": "string"}, B64]}
    if kind == "b":
        return {"type": "boolean"}
    if kind == "f":
        number = spec.element.limits
        return {"type": "number", "minimum": float(number.min), "maximum": float(number.max)}
    whole = spec.element.limits
    return {"type": "integer", "minimum": int(whole.min), "maximum": int(whole.max)}


def _answered(spec: TensorSpec) -> Schema:
    """Numbers of answers have no bounds: NaN and Infinity come bare, as TensorFlow Serving writes them."""
    if spec.element.is_string:
        return B64 if spec.name.endswith("_bytes") else {"type": "string"}
    return {"type": {"b": "boolean", "f": "number"}.get(spec.element.kind, "integer")}


def _values(spec: TensorSpec) -> int:
    return int(np.prod([size or 1 for size in spec.shape], dtype=np.int64))


def example_of(spec: TensorSpec, string: Any = "text") -> Any:
    """A tensor of one row as nested lists; of `string` where it takes strings."""
    shape = [size or 1 for size in spec.shape]
    if spec.element.is_string:
        return np.full(shape, string, dtype=object).tolist()
    steps = np.linspace(0, 255 if spec.dtype == "uint8" else 1, _values(spec))
    return steps.astype(spec.element.numpy).reshape(shape).tolist()
