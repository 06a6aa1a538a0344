"""The guides say what is there: objects, components, paths, numbers, targets."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.support.manifests import COMPONENTS, OVERLAYS, ROOT, named, overlay

GUIDE = (ROOT / "docs" / "deploy-kubernetes.md").read_text()
GUIDES = [GUIDE, *((ROOT / "docs" / name).read_text() for name in ("deploy-docker.md", "runbook.md"))]


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_table_of_objects_is_what_kubectl_renders(name: str) -> None:
    counted = Counter(each["kind"] for each in overlay(name))
    kinds = ", ".join(f"{kind} {count}" if count > 1 else kind for kind, count in sorted(counted.items()))
    assert f"| `{name}` | {len(overlay(name))} | {kinds} |" in GUIDE


def test_every_component_is_described() -> None:
    described = re.findall(r"^\| `([a-z0-9-]+)` \| [^0-9]", GUIDE, re.MULTILINE)
    assert sorted(described) == sorted(COMPONENTS)


@pytest.mark.parametrize("guide", GUIDES, ids=["kubernetes", "docker", "runbook"])
def test_paths_and_targets_are_there(guide: str) -> None:
    for path in re.findall(r"\b(?:k8s|tests|compose)/[\w./-]+\w", guide):
        assert (ROOT / path).exists(), path
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z0-9-]+)`", guide)) <= set(targets)
    for document, chapter in re.findall(r"\]\(([\w.-]*\.md)?#([\w-]+)\)", guide):
        text = (ROOT / "docs" / document).read_text() if document else guide
        titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        chapters = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert chapter in chapters


def test_ten_commands_lead_from_nothing_to_an_answer() -> None:
    block = GUIDE.split("```\n")[1]
    assert len(block.strip().splitlines()) == 10


def test_the_drains_numbers_are_the_manifests() -> None:
    chapter = GUIDE.split("## Rollouts and drains\n")[1].split("\n## ")[0]
    deployment = named(overlay("prod"), "Deployment", "gateway")["spec"]["template"]["spec"]
    rows = dict(re.findall(r"^\| `?([A-Za-z_]+)`? \| (?:up to )?(\d+) \|", chapter, re.MULTILINE))
    (container,) = deployment["containers"]
    settings = {key: config for key, config in _settings().items() if key in rows}
    assert int(rows["preStop"]) == container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert {key: rows[key] for key in settings} == settings
    assert len(settings) == 2
    assert sum(map(int, rows.values())) == deployment["terminationGracePeriodSeconds"]
    assert f"takes at most {deployment['terminationGracePeriodSeconds']} s" in GUIDE
    assert f"`ATELIER_MAX_CONNECTION_AGE_S` ({_settings()['ATELIER_MAX_CONNECTION_AGE_S']})" in GUIDE


def _settings() -> dict[str, str]:
    (config,) = [
        each for each in overlay("prod") if each["kind"] == "ConfigMap" and "ATELIER_GRPC_PORT" in each["data"]
    ]
    found: dict[str, str] = config["data"]
    return found
