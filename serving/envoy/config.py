"""Envoy's configuration: pyvoy's own, and what the gateway adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyvoy import PyvoyServer

from serving.client_limits import CONNECTION_WINDOW_BYTES, WINDOW_BYTES
from serving.envoy.cors import CORS, allow_origins
from serving.envoy.filters import EXTENSIONS, http_filter
from serving.envoy.passing_on import pass_http2_on
from serving.envoy.protection import ConnectionLimits, protect
from serving.envoy.refusals import MAX_REGEX_PROGRAM, answers_of_envoy, refuse_malformed_requests

APPLICATION = "serving.application:application"
STAT_PREFIX = "gateway"
_GIVE_MEMORY_BACK = {"bytes_to_release": 8 * 1024 * 1024, "memory_release_interval": "1s"}
"""Envoy's allocator serves the whole process, models too, and would keep what they have freed for ever."""
_MIN_COMPRESSED_BYTES = 16 * 1024


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
    http2_socket: str | None = None,
) -> dict[str, Any]:
    """One listener with two addresses: a second listener would start a second application with a loop of its own.

    Both addresses take HTTP/1.1 and HTTP/2, and gRPC-Web. The admin interface is a Unix socket, out of reach of the
    network. Pages of `cors_origins` may call from a browser; `*` means those of any site. A connection of
    `max_connection_age_s` gets GOAWAY, or `connection: close` with its next answer, and what is in flight on it is
    still answered; 0 keeps it for ever. `transport_socket` is that of serving/envoy/tls.py, for both addresses.
    HTTP/2 of the gRPC port goes to `http2_socket`, where serving/http2/ reads it; without one Envoy does.
    """
    server = PyvoyServer(APPLICATION, address=host, port=grpc_port, lifespan=True)
    config: dict[str, Any] = server.get_envoy_config()
    config["admin"] = {"address": {"pipe": {"path": admin_socket, "mode": 0o600}}}
    config["memory_allocator_manager"] = _GIVE_MEMORY_BACK
    runtime = {"re2": {"max_program_size": {"error_level": MAX_REGEX_PROGRAM}}}
    config["layered_runtime"] = {"layers": [{"name": "static", "static_layer": runtime}]}
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
        "initial_stream_window_size": WINDOW_BYTES,
        "initial_connection_window_size": CONNECTION_WINDOW_BYTES,
    }
    if max_connection_age_s:
        manager["common_http_protocol_options"] = {"max_connection_duration": f"{max_connection_age_s:.3f}s"}
        manager["http1_safe_max_connection_duration"] = True
    manager["http_filters"] = [
        refuse_malformed_requests(),
        *([CORS] if cors_origins else []),
        http_filter("grpc_web", "GrpcWeb"),
        _compress_large_answers(),
        *manager["http_filters"],
    ]
    if cors_origins:
        allow_origins(manager["route_config"]["virtual_hosts"][0], cors_origins)
    manager["local_reply_config"] = answers_of_envoy()
    if http2_socket is not None:
        pass_http2_on(config, rest_port, http2_socket, transport_socket)
    protect(config, manager, limits)
    return config


def _compress_large_answers() -> dict[str, Any]:
    """For clients that accept gzip; most do unasked, so answers that travel fast anyway stay as they are."""
    gzip = {"@type": f"{EXTENSIONS}.compression.gzip.compressor.v3.Gzip", "compression_level": "BEST_SPEED"}
    answers = {
        "min_content_length": _MIN_COMPRESSED_BYTES,
        "content_type": ["application/json", "application/octet-stream"],
    }
    return http_filter(
        "compressor",
        "Compressor",
        compressor_library={"name": "gzip", "typed_config": gzip},
        response_direction_config={"common_config": answers},
    )
