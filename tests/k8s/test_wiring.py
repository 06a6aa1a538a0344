"""What names something names something that is there: selectors, ports, claims, settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.repository.atelier_toml import parse_model_tables
from serving.settings import OWN_FILE, ServingSettings
from tests.support.manifests import OVERLAYS, Manifest, Pod, named, of_kind, overlay, pods, title

PREFIX = "ATELIER_"
SUPERVISOR_BYTES, WORKER_BYTES = 65 * 2**20, 235 * 2**20
"""Measured with a small model (docs/deploy-kubernetes.md); a worker, and what reads large bodies beside it."""
MARGIN_S = 10
"""For the end of the process itself, which gets five seconds, and the kubelet's own work."""


def test_every_service_finds_pods_and_their_ports(manifests: tuple[Manifest, ...]) -> None:
    for service in of_kind(manifests, "Service"):
        chosen = _chosen(manifests, service["spec"]["selector"])
        assert chosen, title(service)
        for port in service["spec"]["ports"]:
            for pod in chosen:
                assert port["targetPort"] in _ports(pod), f"{title(service)} {port['name']}"
                assert _ports(pod)[port["targetPort"]] == port["port"], f"{title(service)} {port['name']}"


def test_every_selector_finds_what_it_is_for(manifests: tuple[Manifest, ...]) -> None:
    for kind in ("Deployment", "PodDisruptionBudget"):
        for each in of_kind(manifests, kind):
            assert _chosen(manifests, each["spec"]["selector"]["matchLabels"]), title(each)
    for policy in of_kind(manifests, "NetworkPolicy"):
        assert _chosen(manifests, policy["spec"]["podSelector"]["matchLabels"]), title(policy)
    for monitor in of_kind(manifests, "ServiceMonitor"):
        services = [
            service
            for service in of_kind(manifests, "Service")
            if monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        ]
        names = {port["name"] for service in services for port in service["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= names


def test_every_door_leads_to_a_port_that_is_there(manifests: tuple[Manifest, ...]) -> None:
    for policy in of_kind(manifests, "NetworkPolicy"):
        chosen = _chosen(manifests, policy["spec"]["podSelector"]["matchLabels"])
        for rule in policy["spec"].get("ingress", []):
            known = {name for pod in chosen for name in [*_ports(pod), *_ports(pod).values()]}
            assert {port["port"] for port in rule["ports"]} <= known, title(policy)
        for rule in policy["spec"].get("egress", []):
            for peer in rule.get("to", []):
                if "podSelector" not in peer:
                    continue
                reached = _chosen(manifests, peer["podSelector"]["matchLabels"])
                known = {name for pod in reached for name in [*_ports(pod), *_ports(pod).values()]}
                assert {port["port"] for port in rule["ports"]} <= known or not reached, title(policy)


def test_every_scaler_and_route_leads_somewhere(manifests: tuple[Manifest, ...]) -> None:
    for scaler in [*of_kind(manifests, "HorizontalPodAutoscaler"), *of_kind(manifests, "ScaledObject")]:
        deployment = named(manifests, "Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        assert "replicas" not in deployment["spec"], "applying it again would undo what the autoscaler did"
    for route in [*of_kind(manifests, "HTTPRoute"), *of_kind(manifests, "GRPCRoute")]:
        for parent in route["spec"]["parentRefs"]:
            named(manifests, "Gateway", parent["name"])
        for backend in [ref for rule in route["spec"]["rules"] for ref in rule["backendRefs"]]:
            service = named(manifests, "Service", backend["name"])
            assert backend["port"] in [port["port"] for port in service["spec"]["ports"]]
    for gateway in of_kind(manifests, "Gateway"):
        for listener in gateway["spec"]["listeners"]:
            for ref in listener.get("tls", {}).get("certificateRefs", []):
                secrets = {each["spec"]["secretName"]: each for each in of_kind(manifests, "Certificate")}
                assert ref["name"] in secrets
    hosts = [host for route in of_kind(manifests, "HTTPRoute") for host in route["spec"]["hostnames"]]
    assert not set(hosts) & {host for route in of_kind(manifests, "GRPCRoute") for host in route["spec"]["hostnames"]}


def test_only_one_scaler_acts_on_a_deployment(manifests: tuple[Manifest, ...]) -> None:
    scalers = [*of_kind(manifests, "HorizontalPodAutoscaler"), *of_kind(manifests, "ScaledObject")]
    targets = [scaler["spec"]["scaleTargetRef"]["name"] for scaler in scalers]
    assert len(targets) == len(set(targets))


def test_every_volume_has_what_it_names(manifests: tuple[Manifest, ...]) -> None:
    claims = {claim["metadata"]["name"] for claim in of_kind(manifests, "PersistentVolumeClaim")}
    configs = {config["metadata"]["name"] for config in of_kind(manifests, "ConfigMap")}
    accounts = {account["metadata"]["name"] for account in of_kind(manifests, "ServiceAccount")}
    used = set()
    for pod in pods(manifests):
        volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                used.add(volume["persistentVolumeClaim"]["claimName"])
            if "configMap" in volume:
                assert volume["configMap"]["name"] in configs, pod.of
        for where, container in pod.containers():
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes.keys(), where
            for source in container.get("envFrom", []):
                assert source.get("configMapRef", {}).get("name") in {*configs, None}, where
        if pod.kind == "InferenceService":
            used.add(pod.spec["model"]["storageUri"].removeprefix("pvc://").split("/")[0])
        else:
            assert pod.spec["serviceAccountName"] in accounts, pod.of
    assert used == claims


def test_every_setting_is_one_that_the_gateway_has(manifests: tuple[Manifest, ...]) -> None:
    for where, environment in _environments(manifests):
        for key in environment:
            assert key.removeprefix(PREFIX).lower() in ServingSettings.model_fields, f"{where}: no setting {key}"


def test_the_gateway_accepts_the_settings(manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for where, environment in _environments(manifests):
        settings = _settings(environment, monkeypatch)
        for key, value in environment.items():
            told = getattr(settings, key.removeprefix(PREFIX).lower())
            assert str(told).removesuffix(".0") == value, f"{where}: {key}"


def test_the_gateway_accepts_what_is_said_of_single_models(manifests: tuple[Manifest, ...]) -> None:
    services = {service["metadata"]["name"]: service for service in of_kind(manifests, "Service")}
    for config in of_kind(manifests, "ConfigMap"):
        if OWN_FILE not in config["data"]:
            continue
        for table in parse_model_tables(config["data"][OWN_FILE], Path("/etc/atelier")).values():
            for address in table.get("upstream", {}).get("addresses", []):
                host, port = address.split(":")
                if host == "127.0.0.1":
                    (gateway,) = _chosen(manifests, {"app.kubernetes.io/name": "gateway"})
                    assert int(port) in _ports(gateway).values()
                else:
                    assert int(port) in [each["port"] for each in services[host]["spec"]["ports"]]


def test_the_ports_are_those_that_the_gateway_listens_on(
    manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for pod in pods(manifests):
        for where, container in pod.containers():
            if not _is_gateway(container):
                continue
            settings = _settings(_environment(manifests, container), monkeypatch)
            listening = {settings.grpc_port, settings.rest_port}
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            assert set(ports.values()) <= listening, where
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                handler = container[probe].get("httpGet") or container[probe]["grpc"]
                assert ports.get(handler["port"], handler["port"]) in listening, f"{where} {probe}"
            annotations = _annotations(manifests, pod)
            assert settings.rest_port == int(annotations.get("prometheus.io/port", settings.rest_port))


def test_who_asks_a_gateway_that_speaks_tls_speaks_it_too(manifests: tuple[Manifest, ...]) -> None:
    for pod in pods(manifests):
        for where, container in pod.containers():
            if not _is_gateway(container):
                continue
            environment = _environment(manifests, container)
            scheme = "HTTPS" if f"{PREFIX}TLS_CERTIFICATE_FILE" in environment else "HTTP"
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                handler = container[probe]
                assert ("grpc" in handler, handler.get("httpGet", {}).get("scheme", "HTTP")) in {
                    (False, scheme),
                    *([(True, "HTTP")] if scheme == "HTTP" else []),
                }, f"{where} {probe}"
            assert _annotations(manifests, pod).get("prometheus.io/scheme", "http").upper() == scheme
            for monitor in of_kind(manifests, "ServiceMonitor"):
                if monitor["metadata"]["name"] == "gateway":
                    assert [each.get("scheme", "http").upper() for each in monitor["spec"]["endpoints"]] == [scheme]
            for service in of_kind(manifests, "Service"):
                if service["spec"]["selector"].items() <= pod.labels.items():
                    told = {port.get("appProtocol", scheme.lower()) for port in service["spec"]["ports"]}
                    assert (told == {"https"}) == (scheme == "HTTPS"), title(service)


def test_the_files_of_tls_are_those_of_a_secret_that_somebody_makes(manifests: tuple[Manifest, ...]) -> None:
    made = {each["spec"]["secretName"] for each in of_kind(manifests, "Certificate")}
    for pod in pods(manifests):
        secrets = {each["name"]: each["secret"]["secretName"] for each in pod.spec["volumes"] if "secret" in each}
        for where, container in pod.containers():
            folders = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
            for key, file in _environment(manifests, container).items() if _is_gateway(container) else ():
                if key.startswith(f"{PREFIX}TLS_"):
                    mount = folders[str(Path(file).parent)]
                    assert secrets[mount["name"]] in made, where
                    assert "subPath" not in mount, where


def test_a_pod_has_the_time_that_its_drain_may_take(
    manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for pod in pods(manifests):
        for where, container in pod.containers():
            if _is_gateway(container):
                settings = _settings(_environment(manifests, container), monkeypatch)
                before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
                needed = before + settings.drain_grace_s + settings.drain_timeout_s + MARGIN_S
                assert pod.spec["terminationGracePeriodSeconds"] >= needed, where
            elif (stop := container.get("lifecycle", {}).get("preStop")) is not None:
                assert pod.spec["terminationGracePeriodSeconds"] > stop["sleep"]["seconds"] + MARGIN_S, where


def test_what_clients_may_have_on_their_way_fits_the_memory(
    manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for pod in pods(manifests):
        for where, container in pod.containers():
            if _is_gateway(container):
                settings = _settings(_environment(manifests, container), monkeypatch)
                memory = str(container["resources"]["limits"]["memory"])
                assert memory.endswith("Gi"), where
                bodies = settings.workers * max(
                    settings.max_inflight_bytes // settings.workers, settings.max_request_bytes
                )
                needed = SUPERVISOR_BYTES + settings.workers * WORKER_BYTES + 2 * bodies
                assert needed <= int(memory.removesuffix("Gi")) * 2**30, where


def test_a_gateway_has_as_many_workers_as_cores(manifests: tuple[Manifest, ...]) -> None:
    for pod in pods(manifests):
        for where, container in pod.containers():
            if _is_gateway(container):
                (told,) = [each for each in container["env"] if each["name"] == "ATELIER_WORKERS"]
                reference = told["valueFrom"]["resourceFieldRef"]
                assert reference == {"containerName": container["name"], "resource": "limits.cpu"}, where


@pytest.mark.parametrize("name", OVERLAYS)
def test_everything_of_an_overlay_is_in_its_namespace(name: str) -> None:
    (namespace,) = of_kind(overlay(name), "Namespace")
    for each in overlay(name):
        if each["kind"] != "Namespace":
            assert each["metadata"]["namespace"] == namespace["metadata"]["name"], title(each)
        for trigger in each["spec"].get("triggers", []) if each["kind"] == "ScaledObject" else []:
            if trigger["type"] == "prometheus":
                assert f'namespace="{namespace["metadata"]["name"]}"' in trigger["metadata"]["query"]


def _chosen(manifests: tuple[Manifest, ...], labels: dict[str, str]) -> list[Pod]:
    kubeflow = {"training.kubeflow.org/job-name": "train"}  # what its operator adds to the replicas
    return [
        pod
        for pod in pods(manifests)
        if labels.items() <= {**pod.labels, **(kubeflow if pod.kind == "TFJob" else {})}.items()
    ]


def _ports(pod: Pod) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for _, each in pod.containers() for port in each.get("ports", [])}


def _annotations(manifests: tuple[Manifest, ...], pod: Pod) -> dict[str, str]:
    workload = [each for each in manifests if title(each) == pod.of][0]  # noqa: RUF015
    found: dict[str, str] = workload["spec"].get("template", {}).get("metadata", {}).get("annotations", {})
    return found


def _is_gateway(container: Manifest) -> bool:
    return str(container["image"]).split(":")[0] == "atelier/serving"


def _environments(manifests: tuple[Manifest, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    for pod in pods(manifests):
        for where, container in pod.containers():
            if _is_gateway(container):
                yield where, _environment(manifests, container)


def _environment(manifests: tuple[Manifest, ...], container: Manifest) -> dict[str, str]:
    """What the gateway reads, as the kubelet makes it: maps first, the container's own entries over them."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found |= named(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    for each in container.get("env", []):
        found[each["name"]] = each.get("value") or _limit(container, each["valueFrom"]["resourceFieldRef"]["resource"])
    return {key: value for key, value in found.items() if key.startswith(PREFIX)}


def _limit(container: Manifest, resource: str) -> str:
    kind, name = resource.split(".")
    return str(container["resources"][kind][name])


def _settings(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> ServingSettings:
    for key in [key for key in os.environ if key.startswith(PREFIX)]:
        monkeypatch.delenv(key)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    return ServingSettings()
