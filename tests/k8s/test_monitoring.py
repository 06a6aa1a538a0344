"""Alerts, dashboard and autoscalers ask for metrics and labels that a running gateway really gives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import prediction_service_pb2_grpc

from serving import errors
from serving.repository.transition import State
from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.manifests import K8S, ROOT, Manifest, named, of_kind, overlay, pods
from tests.support.promql import asked
from tests.support.tfs import predict_request

MONITORING = K8S / "components" / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
RULES = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]["groups"]
ALERTS = {rule["alert"]: rule for group in RULES for rule in group["rules"]}
TARGET_LABELS = {"namespace", "pod", "service", "instance", "job", "le"}
"""Prometheus adds them to what it scrapes, and `le` is a histogram's."""
FOREIGN = ("up", "kube_")
"""Prometheus' own, and those of kube-state-metrics."""


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Metric → its labels, of a gateway that has answered over gRPC and REST and met everything that can be wrong."""
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "1")
    nobody = {"tfserving_addresses": ("127.0.0.1:1",), "tfserving_models": ("elsewhere",)}
    with running_gateway(models, **nobody) as gateway, grpc.insecure_channel(gateway.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        stub.Predict(predict_request("brightness", pixels=np.zeros((1, 2, 2), np.uint8)), timeout=60.0)
        damaged = write_bundle(tmp_path_factory.mktemp("elsewhere") / "brightness" / "2")
        damaged.joinpath("model.onnx").write_bytes(b"damaged")
        damaged.rename(models / "brightness" / "2")
        (models / "brightness" / "labels.json").write_text("no JSON")
        found: dict[str, set[str]] = {}
        _scrape_until({"atelier_version_load_error", "atelier_stored_problems"}, gateway, found)
        models.rename(models.parent / "moved")
        _scrape_until({"atelier_configuration_error"}, gateway, found)
    return found


def _scrape_until(wanted: set[str], gateway: RunningGateway, found: dict[str, set[str]]) -> None:
    while not wanted <= found.keys():
        for family in text_string_to_metric_families(gateway.rest.get("/metrics").text):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_asks_for_what_is_there(name: str, scraped: dict[str, set[str]]) -> None:
    _check(ALERTS[name]["expr"], scraped)


def test_every_panel_asks_for_what_is_there(scraped: dict[str, set[str]]) -> None:
    expressions = list(_dashboard_expressions())
    assert len(expressions) >= 12
    for expression in expressions:
        _check(expression, scraped)


def test_the_autoscalers_ask_for_what_is_there(scraped: dict[str, set[str]]) -> None:
    autoscaler = named(overlay("staging"), "HorizontalPodAutoscaler", "gateway")
    kinds = {metric["type"]: metric for metric in autoscaler["spec"]["metrics"]}
    assert kinds["Resource"]["resource"]["name"] == "cpu"
    assert kinds["Pods"]["pods"]["metric"]["name"] in scraped
    (rule,) = yaml.safe_load((MONITORING / "adapter-values.yaml").read_text())["rules"]["custom"]
    assert rule["name"]["as"] == kinds["Pods"]["pods"]["metric"]["name"]
    assert asked(rule["seriesQuery"]).metrics == {rule["name"]["as"]}
    scaled = named(overlay("prod"), "ScaledObject", "gateway")
    (trigger,) = [each for each in scaled["spec"]["triggers"] if each["type"] == "prometheus"]
    _check(trigger["metadata"]["query"], scraped)


def test_annotations_only_use_labels_that_the_alert_has() -> None:
    for name, rule in ALERTS.items():
        known = asked(rule["expr"]).labels | TARGET_LABELS
        used = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert used <= known, name


def test_every_alert_has_its_chapter_in_the_runbook() -> None:
    chapters = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert set(ALERTS) <= set(chapters)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning"}


def test_the_dashboard_is_whole() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", " ".join([*_dashboard_expressions(), json.dumps(DASHBOARD["panels"])])))
    assert used - {"__rate_interval", "__all"} == variables
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]}
    assert len(places) == len(ids)


def test_the_dashboard_is_what_grafana_gets() -> None:
    (config,) = [
        each for each in of_kind(overlay("prod"), "ConfigMap") if "grafana_dashboard" in each["metadata"]["labels"]
    ]
    assert json.loads(config["data"]["atelier.json"]) == DASHBOARD


def test_what_is_scraped_by_annotation_is_the_gateways_own_path(manifests: tuple[Manifest, ...]) -> None:
    for pod in pods(manifests):
        if pod.labels.get("app.kubernetes.io/name") == "gateway":
            (deployment,) = [each for each in of_kind(manifests, "Deployment") if each["metadata"]["name"] == "gateway"]
            annotations = deployment["spec"]["template"]["metadata"]["annotations"]
            assert annotations["prometheus.io/path"] == "/metrics"


def _dashboard_expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def _check(expression: str, scraped: dict[str, set[str]]) -> None:
    found = asked(expression)
    ours = {metric for metric in found.metrics if not metric.startswith(FOREIGN)}
    assert ours <= scraped.keys(), f"no gateway gives {ours - scraped.keys()}"
    if ours and ours == found.metrics:
        known = TARGET_LABELS.union(*(scraped[metric] for metric in ours))
        assert found.labels <= known, f"no label {found.labels - known} in {expression}"
    for outcome in found.values.get("outcome", set()) - {"ok"}:
        assert issubclass(getattr(errors, outcome), errors.ServingError)
    for state in found.values.get("state", set()):
        assert state in State.__members__


def test_a_metric_that_is_not_there_is_found(scraped: dict[str, set[str]]) -> None:
    with pytest.raises(AssertionError, match="atelier_rows"):
        _check("sum(rate(atelier_rows[5m]))", scraped)
    with pytest.raises(AssertionError, match="model"):
        _check("sum by (model) (atelier_queue_rows)", scraped)
