"""The OpenAPI 3.1 document of what is loaded now: pure, from servables to one dictionary.

Source: https://spec.openapis.org/oas/v3.1.1 and https://www.tensorflow.org/tfx/serving/api_rest.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from serving.dataplane import image_spec
from serving.errors import UnsupportedError
from serving.frontends.http import STATUS_OF_CAUSE, printable
from serving.frontends.openapi.tensors import B64, Schema, describe, predict_example, predict_request, predict_response
from serving.images import FORMATS, ImageSpec
from serving.repository.servable import Servable
from serving.repository.transition import State
from serving.signatures import DEFAULT_SIGNATURE

_MODEL_CAUSES = (400, 404, 413, 429, 500, 503)
_REASONS: Mapping[int, str] = {
    400: "The request can never succeed as it is; the text says what was expected and what came.",
    404: "No such model, or no such version of it, is available.",
    413: "The body is over the limit.",
    429: "The queue is full; `retry-after` says when to come back.",
    500: "The model failed on valid input.",
    501: "The model cannot do this.",
    503: "The version is being unloaded, or the gateway is stopping.",
}
_EXAMPLE_MAX_SIDE = 64
_MAX_TOP_K = 999_999_999


def build_document(version: str, models: Iterable[Iterable[Servable]], max_images: int) -> dict[str, Any]:
    """`version` is the gateway's; of each model come the versions that answer, first the one that does by default."""
    paths: dict[str, Any] = dict(_GATEWAY_PATHS)
    schemas: dict[str, Schema] = dict(_SCHEMAS)
    tags = [{"name": "gateway", "description": "What is served, and whether it is ready."}]
    names: set[str] = set()
    for current, *others in models:
        name = _plain_name(current.name, names)
        tags.append({"name": printable(current.name), "description": _about(current)})
        paths |= _paths_of(current, name, None, max_images)
        for servable in (current, *others):
            schemas |= _schemas_of(servable, name, max_images)
            paths |= _paths_of(servable, name, servable.version, max_images)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Atelier", "version": version, "description": _ABOUT},
        "servers": [{"url": "."}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": schemas, "responses": _RESPONSES},
    }


def _plain_name(name: str, taken: set[str]) -> str:
    """The model's name in characters that identifiers may hold, and one that no other model has."""
    plain = re.sub(r"[^A-Za-z0-9.-]", "_", name)
    while plain in taken:
        plain += "_"
    taken.add(plain)
    return plain


def _about(servable: Servable) -> str:
    task = f"A {servable.task}." if servable.task else "A model without a manifest."
    signatures = "; ".join(f"{name}: {describe(signature)}" for name, signature in servable.signatures.items())
    return f"{task} Version {servable.version}. {signatures}"


def _paths_of(servable: Servable, name: str, version: int | None, max_images: int) -> dict[str, Any]:
    base = f"/v1/models/{quote(servable.name, safe='')}" + (f"/versions/{version}" if version is not None else "")
    key = f"{name}-{servable.version}"

    def operation(verb: str, summary: str, answer: str, *causes: int, **more: Any) -> dict[str, Any]:
        return {
            "tags": [printable(servable.name)],
            "operationId": f"{verb}{version or ''}-{name}",
            "summary": summary,
            **more,
            "responses": _responses(answer, *causes),
        }

    paths: dict[str, Any] = {
        f"{base}:predict": {
            "post": operation(
                "predict",
                "Tensors in, tensors out",
                f"{key}-predictions",
                *_MODEL_CAUSES,
                requestBody=_json_body(f"{key}-predict", _predict_examples(servable)),
            )
        },
        base: {"get": operation("status", "States of the versions", "ModelStatus", 404)},
        f"{base}/metadata": {
            "get": operation("metadata", "Signatures, as TensorFlow Serving tells them", "Metadata", 404)
        },
    }
    if spec := _image_spec(servable):
        classify = operation(
            "classify",
            "Images in, labels with probabilities out",
            f"{key}-classes",
            *_MODEL_CAUSES,
            description="One image as it is, several as a form, or base64 in JSON; of any size, upright by EXIF.",
            parameters=[_TOP_K],
            requestBody=_image_body(spec, max_images),
        )
        paths = {f"{base}:classify": {"post": classify}, **paths}
    return paths


def _predict_examples(servable: Servable) -> dict[str, Any]:
    found = {name: predict_example(name, signature) for name, signature in servable.signatures.items()}
    return {name: {"value": example} for name, example in found.items() if example is not None}


def _schemas_of(servable: Servable, name: str, max_images: int) -> dict[str, Schema]:
    key = f"{name}-{servable.version}"
    signatures = dict(servable.signatures)
    schemas = {f"{key}-predict": predict_request(signatures), f"{key}-predictions": predict_response(signatures)}
    if _image_spec(servable):
        schemas[f"{key}-classes"] = _classes(servable, max_images)
    return schemas


def _classes(servable: Servable, max_images: int) -> Schema:
    size = servable.signatures[DEFAULT_SIGNATURE].outputs[0].shape[1]
    count = len(servable.labels) if size is None else size
    labels = [printable(label) for label in servable.labels[:count]]
    label: Schema = {"type": "string"}
    if count and (size is not None or labels):
        label["enum"] = list(dict.fromkeys([*labels, *map(str, range(len(labels), count))]))
    index = {"type": "integer", "minimum": 0} | ({"maximum": size - 1} if size else {})
    found = _object({"index": index, "label": label, "probability": {"type": ["number", "null"]}})
    best: Schema = {"type": "array", "items": found, "description": "Best first."}
    spec = _object({"name": {"const": printable(servable.name)}, "version": {"type": "string", "pattern": "^[0-9]+$"}})
    several = {"type": "array", "items": _object({"classes": best}), "minItems": 1, "maxItems": max_images}
    return {"oneOf": [_object({"model_spec": spec, "classes": best}), _object({"model_spec": spec, "images": several})]}


def _image_spec(servable: Servable) -> ImageSpec | None:
    """How images become the model's input, where it takes any."""
    if DEFAULT_SIGNATURE not in servable.signatures:
        return None
    try:
        return image_spec(servable, servable.signatures[DEFAULT_SIGNATURE])
    except UnsupportedError:
        return None


def _image_body(spec: ImageSpec, max_images: int) -> dict[str, Any]:
    bounds = {"minItems": 1, "maxItems": max_images}
    several = _object({"images": {"type": "array", "items": B64, **bounds}})
    one = {"b64": _example_png(spec)}
    as_json = {
        "schema": {"oneOf": [B64, several]},
        "examples": {"one image": {"value": one}, "several images": {"value": {"images": [one, one]}}},
    }
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, **bounds}
    content = {
        "application/json": as_json,
        **{f"image/{name.lower()}": {"schema": {"type": "string", "format": "binary"}} for name in FORMATS},
        "multipart/form-data": {"schema": _object({"image": files})},
    }
    return {"required": True, "content": content}


def _example_png(spec: ImageSpec) -> str:
    height, width = min(spec.height, _EXAMPLE_MAX_SIDE), min(spec.width, _EXAMPLE_MAX_SIDE)
    pixels = np.linspace(0, 255, height * width).astype(np.uint8).reshape(height, width)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _json_body(schema: str, examples: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}} | ({"examples": examples} if examples else {})
    return {"required": True, "content": {"application/json": content}}


def _responses(schema: str, *causes: int) -> dict[str, Any]:
    return {
        "200": _answer("The answer.", schema),
        **{str(status): {"$ref": f"#/components/responses/{status}"} for status in causes},
    }


def _answer(description: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _object(properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _page(name: str, summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"tags": ["gateway"], "operationId": name, "summary": summary, "responses": answers}}


_ABOUT = (
    "TensorFlow Serving's REST API and images for people, of the models that are loaded now. gRPC answers on the same "
    "ports. NaN and Infinity are accepted and answered bare, as TensorFlow Serving does, though they are no JSON."
)
_RESPONSES = {
    str(status): _answer(_REASONS[status], "Error") for status in sorted({*STATUS_OF_CAUSE.values()} & {*_REASONS})
}
_TOP_K = {
    "name": "top_k",
    "in": "query",
    "description": "How many classes to answer, best first.",
    "schema": {"type": "integer", "minimum": 1, "maximum": _MAX_TOP_K, "default": 5},
}
_STATUS = _object(
    {
        "version": {"type": "string", "pattern": "^[0-9]+$"},
        "state": {"enum": [state.name for state in State]},
        "status": _object({"error_code": {"enum": ["OK", "UNKNOWN"]}, "error_message": {"type": "string"}}),
    }
)
_STATUSES: Schema = {"type": "array", "items": {"$ref": "#/components/schemas/VersionStatus"}}
_SCHEMAS: dict[str, Schema] = {
    "Error": _object({"error": {"type": "string"}}),
    "VersionStatus": _STATUS,
    "ModelStatus": _object({"model_version_status": _STATUSES}),
    "Models": _object(
        {
            "models": {
                "type": "array",
                "items": _object(
                    {
                        "name": {"type": "string"},
                        "task": {"enum": ["classification", "regression", None]},
                        "model_version_status": _STATUSES,
                    }
                ),
            }
        }
    ),
    "Metadata": {
        "type": "object",
        "properties": {"model_spec": {"type": "object"}, "metadata": {"type": "object"}},
        "required": ["model_spec", "metadata"],
    },
    "Live": _object({"live": {"const": True}}),
    "Ready": _object({"ready": {"type": "boolean"}, "reasons": {"type": "array", "items": {"type": "string"}}}),
}
_GATEWAY_PATHS: dict[str, Any] = {
    "/v1/models": _page(
        "models", "Models, with the states of their versions", {"200": _answer("All models.", "Models")}
    ),
    "/healthz": _page("live", "Liveness", {"200": _answer("The gateway runs.", "Live")}),
    "/readyz": _page(
        "ready",
        "Readiness",
        {"200": _answer("Every model answers.", "Ready"), "503": _answer("Why one does not.", "Ready")},
    ),
    "/metrics": _page(
        "metrics",
        "Figures for Prometheus",
        {"200": {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
    ),
    "/openapi.json": _page(
        "document",
        "This document",
        {"200": {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {"type": "object"}}}}},
    ),
}
