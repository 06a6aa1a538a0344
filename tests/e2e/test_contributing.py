"""CONTRIBUTING.md says where things are: all of them, and where they are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_MAP = (
    (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("a request goes")[2].partition("The packages")[0]
)
_NAMED = set(re.findall(r"`([\w/]+(?:/|\.py))`", _MAP))


def test_all_modules_and_packages_of_the_gateway_are_on_the_map() -> None:
    there = {path.name for path in (ROOT / "serving").glob("*.py")} - {"__init__.py"}
    there |= {f"{path.parent.name}/" for path in (ROOT / "serving").glob("*/__init__.py")}
    assert there - _NAMED == set()


def test_what_is_on_the_map_is_there() -> None:
    assert {name for name in _NAMED if not (ROOT / "serving" / name).exists()} == set()
