"""Every overlay, and the base with each component, as the real kubectl renders them."""

from __future__ import annotations

import pytest

from tests.support.manifests import COMPONENTS, OVERLAYS, Manifest, on_the_base, overlay

_rendered: dict[str, tuple[Manifest, ...]] = {}


@pytest.fixture(params=[*OVERLAYS, *(f"base+{name}" for name in COMPONENTS)])
def manifests(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, ...]:
    """All objects of one overlay, or of the base with one component."""
    name: str = request.param
    if name not in _rendered:
        component = name.removeprefix("base+")
        is_overlay = component == name
        _rendered[name] = overlay(name) if is_overlay else on_the_base(component, tmp_path_factory.mktemp(component))
    return _rendered[name]
