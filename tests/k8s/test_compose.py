"""compose.yaml: valid by the Compose specification, and what it names is there."""

from __future__ import annotations

import re
from typing import Any

import compose_spec
import pytest
import yaml

from serving.settings import ServingSettings
from tests.support.manifests import K8S, ROOT

TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]


def test_the_specification_accepts_it() -> None:
    resolved = yaml.safe_dump(COMPOSE)  # its parser knows no merge keys; Docker's does
    compose_spec.PyCompose.from_yaml(resolved).to_spec()
    with pytest.raises(ValueError, match="portz"):
        compose_spec.PyCompose.from_yaml(resolved.replace("ports:", "portz:"))


def test_the_five_are_there_with_a_release_and_restricted() -> None:
    assert SERVICES.keys() == {"gateway", "tfserving", "prometheus", "grafana", "loadtest"}
    for name, service in SERVICES.items():
        assert re.search(r":v?\d[\w.-]*$", service["image"]), name
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert "/tmp" in service["tmpfs"], name


def test_what_is_mounted_is_there() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and source != "./models":
                assert (ROOT / source).exists(), name
            elif not source.startswith("./"):
                assert source in COMPOSE["volumes"], name


def test_grafana_shows_the_dashboard_of_the_cluster() -> None:
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    dashboard = str((K8S / "components" / "monitoring" / "dashboard.json").relative_to(ROOT))
    provider = yaml.safe_load((ROOT / "compose" / "grafana" / "dashboards" / "atelier.yaml").read_text())
    assert mounts[f"./{dashboard}"].startswith(provider["providers"][0]["options"]["path"])
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == mounts[f"./{dashboard}"]


def test_the_gateway_accepts_its_settings_and_has_time_to_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = SERVICES["gateway"]["environment"]
    for key, value in environment.items():
        assert key.removeprefix("ATELIER_").lower() in ServingSettings.model_fields
        monkeypatch.setenv(key, value)
    settings = ServingSettings()
    seconds = int(SERVICES["gateway"]["stop_grace_period"].removesuffix("s"))
    assert seconds >= settings.drain_grace_s + settings.drain_timeout_s + 10
    assert {f"{port}:{port}" for port in (settings.grpc_port, settings.rest_port)} == set(SERVICES["gateway"]["ports"])


def test_prometheus_scrapes_services_on_ports_that_they_have() -> None:
    config = yaml.safe_load((ROOT / "compose" / "prometheus.yml").read_text())
    for job in config["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            name, port = target.split(":")
            assert any(mapping.endswith(f":{port}") for mapping in SERVICES[name]["ports"])


def test_the_stages_that_are_built_are_in_the_dockerfile() -> None:
    stages = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {"serving", "training", "loadtest"} <= set(stages)
    for service in SERVICES.values():
        if "build" in service:
            assert service["build"]["target"] in stages
