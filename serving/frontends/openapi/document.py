"""The OpenAPI 3.1 document of what is loaded now: pure, from servables to one dictionary.

Source: https://spec.openapis.org/oas/v3.1.1 and https://www.tensorflow.org/tfx/serving/api_rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from serving.frontends.http import printable
from serving.frontends.openapi.gateway import GATEWAY_PATHS, RESPONSES, SCHEMAS, responses
from serving.frontends.openapi.oip import SCHEMAS as OIP_SCHEMAS
from serving.frontends.openapi.oip import (
    SERVER_PATHS,
    in_json,
    infer_answer,
    infer_operation,
    infer_request,
    model_pages,
)
from serving.frontends.openapi.tensors import Schema, describe
from serving.frontends.openapi.verbs import Verb, verbs_of
from serving.repository.servable import Servable

_MODEL_CAUSES = (400, 404, 413, 429, 500, 503)


def build_document(version: str, models: Iterable[Iterable[Servable]], max_images: int) -> dict[str, Any]:
    """`version` is the gateway's; of each model come the versions that answer, first the one that does by default."""
    paths: dict[str, Any] = {**GATEWAY_PATHS, **SERVER_PATHS}
    schemas: dict[str, Schema] = {**SCHEMAS, **OIP_SCHEMAS}
    tags = [{"name": "gateway", "description": "What is served, and whether it is ready."}]
    names: set[str] = set()
    for current, *others in models:
        name = _plain_name(current.name, names)
        tags.append({"name": printable(current.name), "description": _about(current)})
        for servable in (current, *others):
            verbs = list(verbs_of(servable, max_images))
            for verb in verbs:
                key = f"{name}-{servable.version}-{verb.name}"
                schemas |= {key: _any_of(verb.requests), f"{key}-answer": _any_of(verb.answers)}
            key, plain = f"{name}-{servable.version}-infer", in_json(servable.signatures)
            if plain:
                schemas |= {key: infer_request(plain), f"{key}-answer": infer_answer(plain)}
            if servable is current:
                paths |= _paths_of(servable, name, None, verbs)
            paths |= _paths_of(servable, name, servable.version, verbs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Atelier", "version": version, "description": _ABOUT},
        "servers": [{"url": "."}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": schemas, "responses": RESPONSES},
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


def _paths_of(servable: Servable, name: str, version: int | None, verbs: list[Verb]) -> dict[str, Any]:
    model = quote(servable.name, safe="") + (f"/versions/{version}" if version is not None else "")
    base = f"/v1/models/{model}"
    key = f"{name}-{servable.version}"

    def named(verb: str, **more: Any) -> dict[str, Any]:
        return {"tags": [printable(servable.name)], "operationId": f"{verb}{version or ''}-{name}", **more}

    def operation(verb: str, summary: str, answer: str, *causes: int, **more: Any) -> dict[str, Any]:
        return named(verb, summary=summary, **more, responses=responses(answer, *causes))

    paths: dict[str, Any] = {}
    for verb in verbs:
        content = {"application/json": _json(f"{key}-{verb.name}", verb.examples), **verb.others}
        more = {**verb.more, "requestBody": {"required": True, "content": content}}
        answer = f"{key}-{verb.name}-answer"
        paths[f"{base}:{verb.name}"] = {"post": operation(verb.name, verb.summary, answer, *_MODEL_CAUSES, **more)}
    paths[base] = {"get": operation("status", "States of the versions", "ModelStatus", 404)}
    metadata = operation("metadata", "Signatures, as TensorFlow Serving tells them", "Metadata", 404)
    paths[f"{base}/metadata"] = {"get": metadata}
    if plain := in_json(servable.signatures):
        infer = infer_operation(f"{key}-infer", f"{key}-infer-answer", plain)
        paths[f"/v2/models/{model}/infer"] = {"post": named("infer", **infer)}
    for end, summary, answers in model_pages():
        page = f"v2{end.replace('/', '-')}"
        paths[f"/v2/models/{model}{end}"] = {"get": named(page, summary=summary, responses=answers)}
    return paths


def _json(schema: str, examples: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: {"value": example} for name, example in examples.items() if example is not None}
    return {"schema": {"$ref": f"#/components/schemas/{schema}"}} | ({"examples": shown} if shown else {})


def _any_of(schemas: list[Schema]) -> Schema:
    return {"anyOf": schemas} if len(schemas) > 1 else schemas[0]


_ABOUT = (
    "TensorFlow Serving's REST API, the Open Inference Protocol's, and images for people, of the models that are "
    "loaded now. gRPC answers on the same ports. NaN and Infinity are accepted and answered bare, as TensorFlow "
    "Serving does, though they are no JSON."
)
