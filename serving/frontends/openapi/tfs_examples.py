"""Bodies of TensorFlow Serving's `:classify` and `:regress`, whose JSON examples name features."""

from __future__ import annotations

import math
from collections.abc import Mapping

from serving.frontends.openapi.tensors import EXAMPLE_MAX_VALUES, Schema, object_of, values_taken
from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec

_SCORED_LABEL = {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 2, "maxItems": 2}
_RESULTS: Mapping[str, Schema] = {
    "classify": {"type": "array", "items": {"type": "array", "items": _SCORED_LABEL}},
    "regress": {"type": "array", "items": {"type": "number"}},
}


def request_of(name: str, signature: Signature, signatures: Mapping[str, Signature]) -> tuple[Schema, Schema | None]:
    """The body's schema for the signature of that name, and a body that the model answers, where it is short."""
    named: Schema = {"signature_name": {"const": name}}
    required = () if name == DEFAULT_SIGNATURE else ("signature_name",)
    source = _source(signature, signatures)
    example: Schema = {"type": "object"} if source is None else object_of({source.name: _feature(source)})
    body = object_of({"examples": {"type": "array", "items": example, "minItems": 1}}, named, required)
    if source is None or _count(source) > EXAMPLE_MAX_VALUES:
        return body, None
    value = {"f": 0.5, "b": True}.get(source.element.kind, 1)
    shown = {"examples": [{source.name: [value] * _count(source)}]}
    return body, shown if name == DEFAULT_SIGNATURE else {"signature_name": name, **shown}


def answer_of(verb: str) -> Schema:
    """`{"results": …}` of `classify` or `regress`, a result for each example."""
    return object_of({"results": _RESULTS[verb]})


def _source(signature: Signature, signatures: Mapping[str, Signature]) -> TensorSpec | None:
    """The tensor that a feature becomes: the gateway and our export make `serving_default`'s input of it."""
    source = signatures.get(DEFAULT_SIGNATURE)
    if source is None or source is signature or len(source.inputs) != 1:
        return None
    spec = source.inputs[0]
    return None if spec.element.is_string or None in spec.shape[1:] else spec


def _feature(spec: TensorSpec) -> Schema:
    count = _count(spec)
    return {"type": "array", "items": values_taken(spec), "minItems": count, "maxItems": count}


def _count(spec: TensorSpec) -> int:
    return math.prod(size or 1 for size in spec.shape[1:])
