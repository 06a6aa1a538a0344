"""What Envoy bounds for clients that are slow, many or hostile, before a request reaches Python.

Source: Envoy's HttpConnectionManager, Http2ProtocolOptions and overload manager. Where Envoy's own default is what the
gateway wants, it is written down all the same: docs/limits.md promises it, and tests/e2e/test_hostile_clients.py holds
it to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serving.client_limits import (
    CANCELLED_CALLS,
    HEADERS_TIMEOUT_S,
    KEEPALIVE_INTERVAL_S,
    KEEPALIVE_TIMEOUT_S,
    MAX_CONCURRENT_STREAMS,
    MAX_HEADERS,
    MAX_HEADERS_KIB,
)
from serving.envoy.filters import EXTENSIONS

_ACCEPTED_PER_TURN = 1
"""Connections that a turn of Envoy's loop takes: those that come in crowds wait, and those that are open do not."""
_REQUESTS_PER_TURN = 8
"""Of one connection. One at a time would be fairer still, and cost a client of 64 in flight a fifth of its speed."""
_READ_PER_TURN_BYTES = 64 * 1024
"""Of one connection: a megabyte of headers would be unpacked in one go otherwise, for 8 ms."""
_MAX_EMPTY_FRAMES = 1
_MAX_CONTROL_FRAMES_WAITING = 1000
_MAX_FRAMES_WAITING = 10_000
_MAX_WINDOW_UPDATES_PER_DATA_FRAME = 10
_MAX_PRIORITY_FRAMES_PER_STREAM = 100


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What an operator may say about connections; see the settings of these names."""

    max_connections: int
    request_timeout_s: float
    idle_timeout_s: float


def protect(config: dict[str, Any], manager: dict[str, Any], limits: ConnectionLimits) -> None:
    """Adds the bounds to Envoy's configuration and to the connection manager in it."""
    config["overload_manager"] = _at_most(limits.max_connections)
    config["admin"]["ignore_global_conn_limit"] = True  # a full gateway can still be asked and stopped
    config["layered_runtime"]["layers"][0]["static_layer"] |= {
        "http.max_requests_per_io_cycle": _REQUESTS_PER_TURN,
        "overload.premature_reset_total_stream_count": CANCELLED_CALLS,
    }
    for listener in config["static_resources"]["listeners"]:
        listener["max_connections_to_accept_per_socket_event"] = _ACCEPTED_PER_TURN
        listener["per_connection_buffer_limit_bytes"] = _READ_PER_TURN_BYTES
    manager["request_timeout"] = _seconds(limits.request_timeout_s)
    manager["request_headers_timeout"] = _seconds(min(HEADERS_TIMEOUT_S, limits.request_timeout_s))
    manager["stream_flush_timeout"] = _seconds(limits.request_timeout_s)
    manager["stream_idle_timeout"] = _seconds(0)  # who watches a model's health hears nothing for days
    manager["max_request_headers_kb"] = MAX_HEADERS_KIB
    manager.setdefault("common_http_protocol_options", {}).update(
        idle_timeout=_seconds(limits.idle_timeout_s), max_headers_count=MAX_HEADERS
    )
    manager["http_protocol_options"]["allow_chunked_length"] = False
    manager["http2_protocol_options"] |= {
        "max_concurrent_streams": MAX_CONCURRENT_STREAMS,
        "max_consecutive_inbound_frames_with_empty_payload": _MAX_EMPTY_FRAMES,
        "max_outbound_control_frames": _MAX_CONTROL_FRAMES_WAITING,
        "max_outbound_frames": _MAX_FRAMES_WAITING,
        "max_inbound_window_update_frames_per_data_frame_sent": _MAX_WINDOW_UPDATES_PER_DATA_FRAME,
        "max_inbound_priority_frames_per_stream": _MAX_PRIORITY_FRAMES_PER_STREAM,
        "connection_keepalive": {  # finds clients that are gone without a word
            "interval": _seconds(KEEPALIVE_INTERVAL_S),
            "timeout": _seconds(KEEPALIVE_TIMEOUT_S),
        },
    }


def _at_most(connections: int) -> dict[str, Any]:
    return {
        "resource_monitors": [
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": f"{EXTENSIONS}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": connections,
                },
            }
        ]
    }


def _seconds(value: float) -> str:
    return f"{value:g}s"
