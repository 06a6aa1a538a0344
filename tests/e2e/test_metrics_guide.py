"""docs/metrics.md lists what a gateway gives, with types and labels: no more and no less."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.support.bundles import damage, write_bundle
from tests.support.gateway import running_gateway
from tests.support.waiting import wait_until

GUIDE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
ROWS = {"instances": [[[0, 0], [0, 0]]]}
CONFIG = 'model_config_list { config { name: "brightness" base_path: "%s" model_platform: "tensorflow" } }'


class Metric(NamedTuple):
    kind: str
    labels: frozenset[str]


LABELS = (
    'atelier_label_version{label="canary",model_name="brightness",version="2"} 2.0',
    'atelier_label_version{label="stable",model_name="brightness",version="1"} 2.0',
)
"""Both workers follow both labels."""


def listed(text: str) -> dict[str, Metric]:
    """By name, from the guide's tables."""
    rows = re.findall(r"^\| `(:?[a-z_:]+)` \| (\w+) \|([^|]*)\| \S", text, re.MULTILINE)
    return {name: Metric(kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def scraped(text: str) -> dict[str, Metric]:
    """By name; every family has a sample at least."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
    found: dict[str, Metric] = {}
    for name, kind in kinds.items():
        suffix = "(?:_bucket|_sum|_count)" if kind == "histogram" else ""
        samples = re.findall(rf"^{re.escape(name)}{suffix}(?:\{{(.*)\}})? \S+$", text, re.MULTILINE)
        assert samples, f"{name} has no sample"
        labels = {label for sample in samples for label in re.findall(r'(\w+)="', sample)}
        found[name] = Metric(kind, frozenset(labels - {"le"}))
    return found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Both scrapes of a gateway in which everything that is counted has happened."""
    models = tmp_path_factory.mktemp("models")
    folder = models / "brightness"
    for version in (1, 2):
        write_bundle(folder / str(version))
    damage(write_bundle(folder / "3"))
    (folder / "labels.json").write_text('{"stable": 1, "canary": 2}')
    (folder / "traffic.json").write_text('{"traffic": {"stable": 1}, "shadow": {"target": "canary", "max_busy": 1.0}}')
    config = models / "models.config"
    config.write_text(CONFIG % folder)
    nowhere = {"tfserving_addresses": ("127.0.0.1:9",), "tfserving_models": ("elsewhere",)}
    with running_gateway(None, model_config_file=config, workers=2, label_poll_interval_s=0.05, **nowhere) as gateway:

        def metrics() -> str:
            return httpx.get(f"{gateway.rest_url}/metrics", timeout=60.0).text

        def compared() -> bool:
            answer = httpx.post(f"{gateway.rest_url}/v1/models/brightness:predict", json=ROWS, timeout=60.0)
            assert answer.status_code == 200
            return 'outcome="compared"' in metrics()

        wait_until(compared)
        # Of both workers: what follows keeps one that has not read the labels yet from doing so.
        wait_until(lambda: all(label in metrics() for label in LABELS))
        (folder / "labels.json").write_text("no JSON")
        config.write_text("no configuration")
        wait_until(lambda: "atelier_stored_problems{" in metrics())
        wait_until(lambda: "atelier_configuration_error{" in metrics())
        wait_until(lambda: "atelier_event_loop_lag_seconds_count" in metrics())
        yield metrics(), httpx.get(f"{gateway.rest_url}/monitoring/prometheus/metrics", timeout=60.0).text


def test_the_guide_lists_every_metric_with_its_type_and_labels(pages: tuple[str, str]) -> None:
    ours, theirs = pages
    assert {name: one for name, one in listed(GUIDE).items() if name[0] != ":"} == scraped(ours)
    assert {name: one for name, one in listed(GUIDE).items() if name[0] == ":"} == scraped(theirs)


def test_labels_are_counted_by_the_version_that_they_name(pages: tuple[str, str]) -> None:
    ours, _ = pages
    for label in LABELS:
        assert label in ours
