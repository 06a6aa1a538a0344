"""The manifest's published schema."""

from __future__ import annotations

import json

from export.schema import PUBLISHED, manifest_schema, schema_text
from serving.bundle import Manifest


def test_the_published_schema_is_the_present_one() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == schema_text(), "run `make schema`"


def test_the_schema_names_every_field_of_the_manifest() -> None:
    schema = manifest_schema()

    assert set(schema["properties"]) == set(Manifest.model_fields)
    assert schema["additionalProperties"] is False
    assert json.loads(schema_text()) == schema
