"""What every gateway documents, whatever it has loaded: its own pages, and how it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.frontends.http import STATUS_OF_CAUSE
from serving.frontends.openapi.tensors import Schema, object_of
from serving.repository.transition import State

_REASONS: Mapping[int, str] = {
    400: "The request can never succeed as it is; the text says what was expected and what came.",
    404: "No such model, or no such version of it, is available.",
    413: "The body is over the limit.",
    429: "The queue is full; `retry-after` says when to come back.",
    500: "The model failed on valid input.",
    501: "The model cannot do this.",
    503: "The version is being unloaded, or the gateway is stopping.",
    504: "The request's own `timeout` passed first.",
}


def responses(schema: str, *causes: int) -> dict[str, Any]:
    """The good answer, and one for each status that says why there is none."""
    return {
        "200": answer("The answer.", schema),
        **{str(status): {"$ref": f"#/components/responses/{status}"} for status in causes},
    }


def answer(description: str, schema: str) -> dict[str, Any]:
    """One JSON answer."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _page(name: str, summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"tags": ["gateway"], "operationId": name, "summary": summary, "responses": answers}}


RESPONSES = {
    str(status): answer(_REASONS[status], "Error") for status in sorted({*STATUS_OF_CAUSE.values()} & {*_REASONS})
}
_STATUS = object_of(
    {
        "version": {"type": "string", "pattern": "^[0-9]+$"},
        "state": {"enum": [state.name for state in State]},
        "status": object_of({"error_code": {"enum": ["OK", "UNKNOWN"]}, "error_message": {"type": "string"}}),
    }
)
_STATUSES: Schema = {"type": "array", "items": {"$ref": "#/components/schemas/VersionStatus"}}
SCHEMAS: dict[str, Schema] = {
    "Error": object_of({"error": {"type": "string"}}),
    "VersionStatus": _STATUS,
    "ModelStatus": object_of({"model_version_status": _STATUSES}),
    "Models": object_of(
        {
            "models": {
                "type": "array",
                "items": object_of(
                    {
                        "name": {"type": "string"},
                        "task": {"enum": ["classification", "regression", None]},
                        "model_version_status": _STATUSES,
                        "version_labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    }
                ),
            },
            "problems": {"type": "array", "items": {"type": "string"}},
        }
    ),
    "Metadata": {
        "type": "object",
        "properties": {"model_spec": {"type": "object"}, "metadata": {"type": "object"}},
        "required": ["model_spec", "metadata"],
    },
    "Live": object_of({"live": {"const": True}}),
    "Ready": object_of({"ready": {"type": "boolean"}, "reasons": {"type": "array", "items": {"type": "string"}}}),
}
GATEWAY_PATHS: dict[str, Any] = {
    "/v1/models": _page(
        "models", "Models, with the states of their versions", {"200": answer("All models.", "Models")}
    ),
    "/healthz": _page("live", "Liveness", {"200": answer("The gateway runs.", "Live")}),
    "/readyz": _page(
        "ready",
        "Readiness",
        {"200": answer("Every model answers.", "Ready"), "503": answer("Why one does not.", "Ready")},
    ),
    "/in-service": _page(
        "inService",
        "Whether clients shall be sent here: from the first time that the gateway was ready until it stops",
        {"200": answer("It shall.", "Ready"), "503": answer("Why not.", "Ready")},
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
