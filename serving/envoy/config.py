"""Envoy's configuration: pyvoy's own, and what the gateway adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyvoy import PyvoyServer

from serving.admin_access import ADMIN_PREFIX
from serving.envoy.protection import ConnectionLimits, protect, refusals_in_json

APPLICATION = "serving.worker:application"
STAT_PREFIX = "gateway"
_GIVE_MEMORY_BACK = {"bytes_to_release": 8 * 1024 * 1024, "memory_release_interval": "1s"}
"""Envoy's allocator serves the whole process, models too, and would keep what they have freed for ever."""
_WINDOW_BYTES = 1024 * 1024
_MIN_COMPRESSED_BYTES = 16 * 1024
_TYPES = "type.googleapis.com/envoy"
_CORS_REQUEST_HEADERS = (
    "content-type, content-encoding, authorization, inference-header-content-length, "
    "x-grpc-web, x-user-agent, grpc-timeout"
)
_CORS_RESPONSE_HEADERS = "grpc-status, grpc-message, inference-header-content-length, retry-after, x-atelier-version"
_CORS_MAX_AGE_S = "600"

_HEX, _TAIL = "[0-9A-Fa-f]", "%[89ABab][0-9A-Fa-f]"
_UTF8_PATH = "|".join(
    (
        "[^%]",
        f"%[0-7]{_HEX}",
        f"%(?:[Cc][2-9A-Fa-f]|[Dd]{_HEX}){_TAIL}",
        f"%[Ee]0%[ABab]{_HEX}{_TAIL}",
        f"%[Ee][1-9A-Ca-cEFef]{_TAIL}{_TAIL}",
        f"%[Ee][Dd]%[89]{_HEX}{_TAIL}",
        f"%[Ff]0%[9ABab]{_HEX}{_TAIL}{_TAIL}",
        f"%[Ff][1-3]{_TAIL}{_TAIL}{_TAIL}",
        f"%[Ff]4%8{_HEX}{_TAIL}{_TAIL}",
    )
)
"""One character of a path that is percent-encoded UTF-8 (Unicode 16, table 3-7)."""
_SEVERAL_HOSTS = (
    {"name": ":authority", "string_match": {"contains": ","}},
    {
        "name": "content-type",
        "string_match": {"prefix": "application/grpc"},
        "invert_match": True,
        "treat_missing_header_as_empty": True,
    },
)
"""Envoy joins them with commas. A gRPC client of several addresses, `ipv4:A:1,B:2`, calls all that its host."""


def build_config(
    *,
    host: str,
    grpc_port: int,
    rest_port: int,
    admin_socket: str,
    limits: ConnectionLimits,
    cors_origins: Sequence[str] = (),
    max_connection_age_s: float = 0.0,
    transport_socket: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One listener with two addresses: a second listener would start a second application with a loop of its own.

    Both addresses take HTTP/1.1 and HTTP/2, and gRPC-Web. The admin interface is a Unix socket, out of reach of the
    network. Pages of `cors_origins` may call from a browser; `*` means those of any site. A connection of
    `max_connection_age_s` gets GOAWAY, or `connection: close` with its next answer, and what is in flight on it is
    still answered; 0 keeps it for ever. `transport_socket` is that of serving/envoy/tls.py, for both addresses.
    """
    server = PyvoyServer(APPLICATION, address=host, port=grpc_port, lifespan=True)
    config: dict[str, Any] = server.get_envoy_config()
    config["admin"] = {"address": {"pipe": {"path": admin_socket, "mode": 0o600}}}
    config["memory_allocator_manager"] = _GIVE_MEMORY_BACK
    config["layered_runtime"] = {
        "layers": [{"name": "static", "static_layer": {"re2": {"max_program_size": {"error_level": 1000}}}}]
    }
    listener = config["static_resources"]["listeners"][0]
    listener["additional_addresses"] = [{"address": {"socket_address": {"address": host, "port_value": rest_port}}}]
    (chain,) = listener["filter_chains"]
    if transport_socket is not None:
        config["node"] = {"id": STAT_PREFIX, "cluster": STAT_PREFIX}  # secrets need to be asked for in some name
        chain["transport_socket"] = transport_socket
    manager = chain["filters"][-1]["typed_config"]
    manager["stat_prefix"] = STAT_PREFIX
    manager["http_protocol_options"] = {"accept_http_10": True}
    manager["http2_protocol_options"] = {
        "initial_stream_window_size": _WINDOW_BYTES,
        "initial_connection_window_size": 16 * _WINDOW_BYTES,
    }
    if max_connection_age_s:
        manager["common_http_protocol_options"] = {"max_connection_duration": f"{max_connection_age_s:.3f}s"}
        manager["http1_safe_max_connection_duration"] = True
    manager["http_filters"] = [
        _refuse_malformed_requests(),
        *([_filter("cors", "Cors")] if cors_origins else []),
        _filter("grpc_web", "GrpcWeb"),
        _compress_large_answers(),
        *manager["http_filters"],
    ]
    if cors_origins:
        _allow_origins(manager["route_config"]["virtual_hosts"][0], cors_origins)
    replies = refusals_in_json()
    manager["local_reply_config"] = {**replies, "mappers": [*_say_what_is_malformed(), *replies["mappers"]]}
    protect(config, manager, limits)
    return config


def _filter(name: str, message: str) -> dict[str, Any]:
    """An HTTP filter that needs no settings."""
    return {
        "name": f"envoy.filters.http.{name}",
        "typed_config": {"@type": f"{_TYPES}.extensions.filters.http.{name}.v3.{message}"},
    }


def _allow_origins(virtual_host: dict[str, Any], origins: Sequence[str]) -> None:
    """Envoy takes the policy from the route of a request, so there has to be one; it leads nowhere else.

    The admin API has a route of its own, whose policy lets no origin in.
    """
    any_site = "*" in origins
    allowed = {
        "allow_origin_string_match": [{"safe_regex": {"regex": ".*"}}] if any_site else _exactly(origins),
        "allow_methods": "GET, HEAD, POST, OPTIONS",
        "allow_headers": _CORS_REQUEST_HEADERS,
        "expose_headers": _CORS_RESPONSE_HEADERS,
        "max_age": _CORS_MAX_AGE_S,
    }
    virtual_host["routes"] = [_route(ADMIN_PREFIX, {}), _route("/", allowed)]


def _route(prefix: str, cors_policy: dict[str, Any]) -> dict[str, Any]:
    message = f"{_TYPES}.extensions.filters.http.cors.v3.CorsPolicy"
    return {
        "match": {"prefix": prefix},
        "non_forwarding_action": {},
        "typed_per_filter_config": {"envoy.filters.http.cors": {"@type": message, **cors_policy}},
    }


def _exactly(origins: Sequence[str]) -> list[dict[str, str]]:
    return [{"exact": origin} for origin in origins]


def _refuse_malformed_requests() -> dict[str, Any]:
    """Those whose path is no text, and those with several `host` headers (RFC 9112, section 3.2).

    pyvoy decodes a path as UTF-8 before any Python code of ours runs, and never answers one that is not.
    """
    is_text = {"url_path": {"path": {"safe_regex": {"regex": f"(?:{_UTF8_PATH})*"}}}}
    several_hosts = {"and_rules": {"rules": [{"header": matcher} for matcher in _SEVERAL_HOSTS]}}
    rules = {"path is no text": {"not_rule": is_text}, "several hosts": several_hosts}
    policies = {
        name: {"permissions": [permission], "principals": [{"any": True}]} for name, permission in rules.items()
    }
    return {
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": f"{_TYPES}.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "DENY", "policies": policies},
        },
    }


def _say_what_is_malformed() -> list[dict[str, Any]]:
    """The answers in place of the 403 that the filter above gives."""
    denied = {
        "status_code_filter": {"comparison": {"op": "EQ", "value": {"default_value": 403, "runtime_key": "unused"}}}
    }
    several_hosts = [{"header_filter": {"header": matcher}} for matcher in _SEVERAL_HOSTS]
    both = {"and_filter": {"filters": [denied, *several_hosts]}}
    path_text = "the path is not percent-encoded UTF-8: %REQ(:PATH)%"
    return [
        {"filter": which, "status_code": 400, "body_format_override": {"json_format": {"error": text}}}
        for which, text in (
            (both, "Malformed request: expected one host, received %REQ(:AUTHORITY)%"),
            (denied, f"Malformed request: {path_text}"),
        )
    ]


def _compress_large_answers() -> dict[str, Any]:
    """For clients that accept gzip; most do unasked, so answers that travel fast anyway stay as they are."""
    return {
        "name": "envoy.filters.http.compressor",
        "typed_config": {
            "@type": f"{_TYPES}.extensions.filters.http.compressor.v3.Compressor",
            "compressor_library": {
                "name": "gzip",
                "typed_config": {
                    "@type": f"{_TYPES}.extensions.compression.gzip.compressor.v3.Gzip",
                    "compression_level": "BEST_SPEED",
                },
            },
            "response_direction_config": {
                "common_config": {
                    "min_content_length": _MIN_COMPRESSED_BYTES,
                    "content_type": ["application/json", "application/octet-stream"],
                }
            },
        },
    }
