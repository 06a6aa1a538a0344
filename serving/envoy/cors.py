"""Which sites' pages may call the gateway from a browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serving.admin_access import ADMIN_PREFIX
from serving.envoy.filters import EXTENSIONS, http_filter

CORS = http_filter("cors", "Cors")
_REQUEST_HEADERS = (
    "content-type, content-encoding, authorization, inference-header-content-length, "
    "x-grpc-web, x-user-agent, grpc-timeout"
)
_RESPONSE_HEADERS = (
    "grpc-status, grpc-message, grpc-status-details-bin, "
    "inference-header-content-length, retry-after, x-atelier-version"
)
_MAX_AGE_S = "600"


def allow_origins(virtual_host: dict[str, Any], origins: Sequence[str]) -> None:
    """Envoy takes the policy from the route of a request, so there has to be one; it leads nowhere else.

    The admin API has a route of its own, whose policy lets no origin in. `*` among the origins means any site.
    """
    allowed = {
        "allow_origin_string_match": [{"safe_regex": {"regex": ".*"}}]
        if "*" in origins
        else [{"exact": origin} for origin in origins],
        "allow_methods": "GET, HEAD, POST, OPTIONS",
        "allow_headers": _REQUEST_HEADERS,
        "expose_headers": _RESPONSE_HEADERS,
        "max_age": _MAX_AGE_S,
    }
    virtual_host["routes"] = [_route(ADMIN_PREFIX, {}), _route("/", allowed)]


def _route(prefix: str, policy: dict[str, Any]) -> dict[str, Any]:
    config = {"@type": f"{EXTENSIONS}.filters.http.cors.v3.CorsPolicy", **policy}
    return {
        "match": {"prefix": prefix},
        "non_forwarding_action": {},
        "typed_per_filter_config": {CORS["name"]: config},
    }
