"""Envoy's configuration: pyvoy's own, and what the gateway adds to it."""

from __future__ import annotations

from typing import Any

from pyvoy import PyvoyServer

APPLICATION = "serving.worker:application"
STAT_PREFIX = "gateway"
_MAX_CONCURRENT_STREAMS = 1024
_WINDOW_BYTES = 1024 * 1024


def build_config(*, host: str, grpc_port: int, rest_port: int, admin_socket: str) -> dict[str, Any]:
    """One listener with two addresses: a second listener would start a second application with a loop of its own.

    Both addresses take HTTP/1.1 and HTTP/2. The admin interface is a Unix socket, out of reach of the network.
    """
    server = PyvoyServer(APPLICATION, address=host, port=grpc_port, lifespan=True)
    config: dict[str, Any] = server.get_envoy_config()
    config["admin"] = {"address": {"pipe": {"path": admin_socket, "mode": 0o600}}}
    listener = config["static_resources"]["listeners"][0]
    listener["additional_addresses"] = [{"address": {"socket_address": {"address": host, "port_value": rest_port}}}]
    manager = listener["filter_chains"][0]["filters"][-1]["typed_config"]
    manager["stat_prefix"] = STAT_PREFIX
    manager["http2_protocol_options"] = {
        "max_concurrent_streams": _MAX_CONCURRENT_STREAMS,
        "initial_stream_window_size": _WINDOW_BYTES,
        "initial_connection_window_size": 16 * _WINDOW_BYTES,
    }
    return config
