"""The manifest's JSON Schema, as docs/ publishes it: `python -m export.schema` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serving.bundle import Manifest
from serving.bundle_files import MANIFEST

PUBLISHED = Path(__file__).parents[1] / "docs" / "manifest.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def manifest_schema() -> dict[str, Any]:
    """What every `manifest.json` of this release fits."""
    schema = Manifest.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        if "description" in part:  # a docstring, whose end is for those who write Python
            part["description"] = part["description"].partition("\n\nRaises:")[0].replace("\n", " ")
    return {"$schema": DIALECT, **schema, "title": f"Atelier's {MANIFEST}"}


def schema_text() -> str:
    """The content of the published file."""
    return json.dumps(manifest_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PUBLISHED.write_text(schema_text(), encoding="utf-8")
