"""Malformed requests, which Envoy refuses before Python sees them, and how its own answers look."""

from __future__ import annotations

from typing import Any

from serving.envoy.filters import http_filter

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
MAX_REGEX_PROGRAM = 1000
"""What Envoy's limit for regular expressions has to be for this one."""
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
_FORBIDDEN, _REQUEST_TIMEOUT = 403, 408
_DEADLINE_EXCEEDED = "4"


def refuse_malformed_requests() -> dict[str, Any]:
    """The filter for those whose path is no text, and those with several `host` headers (RFC 9112, section 3.2).

    pyvoy decodes a path as UTF-8 before any Python code of ours runs, and never answers one that is not.
    """
    is_text = {"url_path": {"path": {"safe_regex": {"regex": f"(?:{_UTF8_PATH})*"}}}}
    several_hosts = {"and_rules": {"rules": [{"header": matcher} for matcher in _SEVERAL_HOSTS]}}
    rules = {"path is no text": {"not_rule": is_text}, "several hosts": several_hosts}
    policies = {
        name: {"permissions": [permission], "principals": [{"any": True}]} for name, permission in rules.items()
    }
    return http_filter("rbac", "RBAC", rules={"action": "DENY", "policies": policies})


def answers_of_envoy() -> dict[str, Any]:
    """How Envoy's own answers look: as the gateway's; a gRPC client gets the text alone in its status.

    A malformed request gets 400 in place of the filter's 403. Of gRPC's codes Envoy has none for a request that took
    too long to arrive: its 408 would be UNKNOWN.
    """
    denied = _has_status(_FORBIDDEN)
    several_hosts = _all_of(denied, *({"header_filter": {"header": matcher}} for matcher in _SEVERAL_HOSTS))
    is_grpc = {"header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}}
    late_grpc = _all_of(is_grpc, _has_status(_REQUEST_TIMEOUT))
    text = "the request was refused: %RESPONSE_CODE_DETAILS%"
    as_text = {"text_format_source": {"inline_string": text}}
    deadline_exceeded = {"header": {"key": "grpc-status", "value": _DEADLINE_EXCEEDED}}
    return {
        "mappers": [
            _bad_request(several_hosts, "expected one host, received %REQ(:AUTHORITY)%"),
            _bad_request(denied, "the path is not percent-encoded UTF-8: %REQ(:PATH)%"),
            {"filter": late_grpc, "body_format_override": as_text, "headers_to_add": [deadline_exceeded]},
            {"filter": is_grpc, "body_format_override": as_text},
        ],
        "body_format": {"json_format": {"error": text}},
    }


def _bad_request(which: dict[str, Any], text: str) -> dict[str, Any]:
    body = {"json_format": {"error": f"Malformed request: {text}"}}
    return {"filter": which, "status_code": 400, "body_format_override": body}


def _has_status(status: int) -> dict[str, Any]:
    value = {"default_value": status, "runtime_key": "unused"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _all_of(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"and_filter": {"filters": list(filters)}}
