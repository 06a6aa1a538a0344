"""The Open Inference Protocol of the loaded models as paths and JSON Schemas, exact in names, datatypes and shapes.

Source: the protocol's "Inference" section, and Triton's extensions as far as they are JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from serving.frontends.openapi.gateway import answer, responses
from serving.frontends.openapi.tensors import EXAMPLE_MAX_VALUES, Schema, column, example_of, object_of, values_taken
from serving.signatures import DEFAULT_SIGNATURE, DTYPES, Signature, TensorSpec

_CAUSES = (400, 404, 413, 429, 500, 501, 503, 504)
_MAX_WHOLE = 2**63 - 1
_MAX_ROWS = 2**31 - 1
_SHORTEST_TIMEOUT_US = 10_000_000
"""A shorter one is taken too, and may well pass; who reads the document shall be answered."""
_OF_ENCODED_STRINGS = ("image_bytes", "classify", "regress")
_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer", "minimum": 0, "maximum": _MAX_WHOLE}
_DATATYPE: Schema = {"enum": sorted(dtype.oip for dtype in DTYPES.values())}
_METADATA = {"name": _TEXT, "datatype": _DATATYPE, "shape": {"type": "array", "items": {"type": "integer"}}}


def _list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


SCHEMAS: Mapping[str, Schema] = {
    "ServerMetadata": object_of({"name": _TEXT, "version": _TEXT, "extensions": _list_of(_TEXT)}),
    "ServerReady": object_of({"ready": {"type": "boolean"}}),
    "ModelReady": object_of({"name": _TEXT, "ready": {"type": "boolean"}}),
    "ModelMetadata": object_of(
        {
            "name": _TEXT,
            "versions": _list_of(_TEXT),
            "platform": _TEXT,
            "inputs": _list_of(object_of(_METADATA)),
            "outputs": _list_of(object_of(_METADATA)),
        }
    ),
    "ModelConfig": {"type": "object", "required": ["name", "platform", "max_batch_size", "input", "output"]},
    "ModelStatistics": object_of({"model_stats": _list_of({"type": "object"})}),
    "RepositoryIndex": _list_of(object_of({"name": _TEXT, "version": _TEXT, "state": _TEXT, "reason": _TEXT})),
    "RepositoryIndexRequest": object_of({}, {"ready": {"type": "boolean"}}),
}


def _get(name: str, summary: str, schema: str) -> dict[str, Any]:
    answers = {"200": answer("The answer.", schema)}
    return {"get": {"tags": ["gateway"], "operationId": name, "summary": summary, "responses": answers}}


SERVER_PATHS: Mapping[str, Any] = {
    "/v2": _get("server-metadata", "Open Inference Protocol: the server", "ServerMetadata"),
    "/v2/health/live": _get("server-live", "Open Inference Protocol: liveness", "Live"),
    "/v2/health/ready": {
        "get": {
            "tags": ["gateway"],
            "operationId": "server-ready",
            "summary": "Open Inference Protocol: readiness",
            "responses": {
                "200": answer("Every model answers.", "ServerReady"),
                "503": answer("One does not.", "ServerReady"),
            },
        }
    },
    "/v2/models/stats": _get("all-statistics", "Triton's statistics of all models", "ModelStatistics"),
    "/v2/repository/index": {
        "post": {
            "tags": ["gateway"],
            "operationId": "repository-index",
            "summary": "Triton's index of all models",
            "requestBody": {
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RepositoryIndexRequest"}}}
            },
            "responses": responses("RepositoryIndex", 400, 413),
        }
    },
}


def model_pages() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What can be asked with GET of every model: the end of the path, a summary, and the answers."""
    missing, impossible = ({status: {"$ref": f"#/components/responses/{status}"}} for status in ("404", "501"))
    for end, summary, schema in (
        ("", "Datatypes and shapes, as the Open Inference Protocol tells them", "ModelMetadata"),
        ("/ready", "Whether the model answers", "ModelReady"),
        ("/config", "Triton's configuration", "ModelConfig"),
        ("/stats", "Triton's statistics", "ModelStatistics"),
    ):
        answers = {"200": answer("The answer.", schema), **missing}
        if schema == "ModelReady":
            answers["503"] = answer("It does not.", schema)
        if schema in {"ModelMetadata", "ModelConfig"}:
            answers |= impossible
        yield end, summary, answers


def infer_operation(request: str, result: str, signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """`POST …/infer` as it is in JSON, by the names of the schemas of its body and of its answer."""
    shown = {name: {"value": body} for name, body in _examples(signatures)}
    content = {"schema": {"$ref": f"#/components/schemas/{request}"}} | ({"examples": shown} if shown else {})
    return {
        "summary": "Open Inference Protocol: tensors in, tensors out",
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": responses(result, *_CAUSES),
    }


def in_json(signatures: Mapping[str, Signature]) -> dict[str, Signature]:
    """The signatures that JSON can ask: strings that are files or examples are no text, and some dtypes it lacks."""
    return {
        name: signature
        for name, signature in signatures.items()
        if name not in _OF_ENCODED_STRINGS and signature.predict_only_tensor is None
    }


def infer_request(signatures: Mapping[str, Signature]) -> Schema:
    """Bodies of `infer`, one form for each signature."""
    forms = [_request(name, signature) for name, signature in signatures.items()]
    return {"anyOf": forms} if len(forms) > 1 else forms[0]


def infer_answer(signatures: Mapping[str, Signature]) -> Schema:
    """The answer to any of them, without binary data; an output that was asked for as classes holds strings."""
    names = sorted({spec.name for signature in signatures.values() for spec in signature.outputs})
    tensor = object_of(
        {
            "name": {"enum": names},
            "datatype": _DATATYPE,
            "shape": _list_of(_WHOLE),
            "data": _list_of({"type": ["number", "string", "boolean"]}),
        }
    )
    version = {"type": "string", "pattern": "^[0-9]+$"}
    return object_of({"model_name": _TEXT, "model_version": version, "outputs": _list_of(tensor)}, {"id": _TEXT})


def _request(name: str, signature: Signature) -> Schema:
    named: Schema = {"signature_name": {"const": name}}
    parameters = {
        "timeout": {**_WHOLE, "minimum": _SHORTEST_TIMEOUT_US},
        "priority": _WHOLE,
        "binary_data_output": {"const": False},
    }
    is_default = name == DEFAULT_SIGNATURE
    inputs = [_input(spec) for spec in signature.inputs]
    return object_of(
        {"inputs": {"type": "array", "prefixItems": inputs, "minItems": len(inputs), "maxItems": len(inputs)}},
        {
            "id": _TEXT,
            "outputs": {"type": "array", "items": {"anyOf": [_output(spec) for spec in signature.outputs]}},
            "parameters": object_of({} if is_default else named, {**parameters, **named}),
        },
        () if is_default else ("parameters",),
    )


def _input(spec: TensorSpec) -> Schema:
    """The data may be nested as the shape is, or flat; a schema cannot say that both have as many rows."""
    sizes = [
        {"type": "integer", "minimum": 1, "maximum": _MAX_ROWS} if size is None else {"const": size}
        for size in spec.shape
    ]
    element = _TEXT if spec.element.is_string else values_taken(spec)
    return object_of(
        {
            "name": {"const": spec.name},
            "datatype": {"const": spec.element.oip},
            "shape": {"type": "array", "prefixItems": sizes, "minItems": len(sizes), "maxItems": len(sizes)},
            "data": column(spec, element) if spec.shape else {"type": "array", "items": element, "maxItems": 1},
        }
    )


def _output(spec: TensorSpec) -> Schema:
    classes = {} if spec.element.is_string else {"classification": {"type": "integer", "minimum": 0, "maximum": 999}}
    return object_of(
        {"name": {"const": spec.name}}, {"parameters": object_of({}, {"binary_data": {"const": False}, **classes})}
    )


def _examples(signatures: Mapping[str, Signature]) -> Iterator[tuple[str, Any]]:
    """A body of one row of each signature that takes text or numbers, where it is short."""
    for name, signature in signatures.items():
        shapes = {spec.name: [size or 1 for size in spec.shape] for spec in signature.inputs}
        if sum(map(math.prod, shapes.values())) > EXAMPLE_MAX_VALUES:
            continue
        inputs = [
            {"name": spec.name, "datatype": spec.element.oip, "shape": shapes[spec.name], "data": example_of(spec)}
            for spec in signature.inputs
        ]
        yield name, {"inputs": inputs} | ({} if name == DEFAULT_SIGNATURE else {"parameters": {"signature_name": name}})
