"""Every overlay, and the base with each component, as the real kubectl renders them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.manifests import COMPONENTS, OVERLAYS, Manifest, on_the_base, overlay, render

_rendered: dict[str, tuple[Manifest, ...]] = {}


@pytest.fixture(params=[*OVERLAYS, "e2e", *(f"base+{name}" for name in COMPONENTS)])
def manifests(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, ...]:
    """All objects of one overlay, of what `make k8s-e2e` deploys, or of the base with one component."""
    name: str = request.param
    if name not in _rendered:
        component = name.removeprefix("base+")
        if component != name:
            _rendered[name] = on_the_base(component, tmp_path_factory.mktemp(component))
        else:
            _rendered[name] = render(Path(__file__).parent / "e2e") if name == "e2e" else overlay(name)
    return _rendered[name]
