"""How Envoy's configuration names an HTTP filter."""

from __future__ import annotations

from typing import Any

EXTENSIONS = "type.googleapis.com/envoy.extensions"


def http_filter(name: str, message: str, **settings: Any) -> dict[str, Any]:
    """The filter `envoy.filters.http.NAME` with the settings of its message."""
    config = {"@type": f"{EXTENSIONS}.filters.http.{name}.v3.{message}", **settings}
    return {"name": f"envoy.filters.http.{name}", "typed_config": config}
