"""What every pod has to be, whatever it runs: the restricted profile, limits, probes, a named release."""

from __future__ import annotations

import re

from tests.support.cluster_jobs import load_job, train_job
from tests.support.manifests import ROOT, Manifest, named, of_kind, overlay, pods, render

WITHOUT_PORTS = {"Deployment/loadtest-worker locust"}
"""Locust's workers open no port to probe, and end by themselves when they lose their master."""


def test_no_container_runs_as_root_or_may_gain_anything(manifests: tuple[Manifest, ...]) -> None:
    for pod in pods(manifests):
        context = pod.spec["securityContext"]
        assert (context["runAsNonRoot"], context["seccompProfile"]["type"]) == (True, "RuntimeDefault"), pod.of
        assert context["runAsUser"] > 0, pod.of
        for where, container in pod.containers():
            mine = container["securityContext"]
            assert mine["allowPrivilegeEscalation"] is False, where
            assert mine["capabilities"] == {"drop": ["ALL"]}, where
            assert "privileged" not in mine, where


def test_no_container_can_write_its_root_and_each_has_a_folder_to_write(manifests: tuple[Manifest, ...]) -> None:
    for pod in pods(manifests):
        writable = {volume["name"] for volume in pod.spec.get("volumes", []) if "emptyDir" in volume}
        for where, container in pod.containers():
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, where
            mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            assert mounts.get("/tmp") in writable, where


def test_every_container_says_what_it_needs_and_what_it_may_take(manifests: tuple[Manifest, ...]) -> None:
    for pod in pods(manifests):
        for where, container in pod.containers():
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= container["resources"][kind].keys(), f"{where}: {kind}"
        for volume in pod.spec.get("volumes", []):
            if "emptyDir" in volume:
                assert "sizeLimit" in volume["emptyDir"], f"{pod.of} {volume['name']}"


def test_every_container_that_serves_is_probed(manifests: tuple[Manifest, ...]) -> None:
    for pod in pods(manifests):
        for where, container in pod.serving_containers():
            if where in WITHOUT_PORTS:
                assert "ports" not in container
            else:
                assert {"readinessProbe", "livenessProbe"} <= container.keys(), where


def test_a_busy_container_is_not_killed_within_a_minute(manifests: tuple[Manifest, ...]) -> None:
    for pod in pods(manifests):
        for where, container in pod.serving_containers():
            if (probe := container.get("livenessProbe")) is not None:
                assert probe["periodSeconds"] * probe["failureThreshold"] >= 60, where


def test_small_clusters_have_room_for_what_is_made_for_them() -> None:
    """A node of two cores, of which kind's own pods ask for 0.95; beside it all, one pod more of each in a rollout."""
    jobs = (load_job("load", host="http://gateway:8501", model="digits", seconds=1), train_job("train-again", seed=2))
    for manifests, added in ((overlay("dev"), ()), (render(ROOT / "tests" / "k8s" / "e2e"), jobs)):
        cores = 0.0
        for each in (*manifests, *added):
            copies = each["spec"]["replicas"] + 1 if each["kind"] == "Deployment" else 1
            for pod in pods([each]):
                requests = [container["resources"]["requests"]["cpu"] for _, container in pod.containers()]
                cores += copies * max(int(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu) for cpu in requests)
        assert 0 < cores <= 2 - 0.95


def test_every_image_has_a_release(manifests: tuple[Manifest, ...]) -> None:
    images = [container["image"] for pod in pods(manifests) for _, container in pod.containers()]
    images += [
        volume["image"]["reference"] for pod in pods(manifests) for volume in pod.spec["volumes"] if "image" in volume
    ]
    for image in images:
        assert re.search(r":v?\d[\w.-]*$", image), image


def test_no_pod_gets_a_token_or_the_addresses_of_all_services(manifests: tuple[Manifest, ...]) -> None:
    for account in of_kind(manifests, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    for pod in pods(manifests):
        assert pod.spec["automountServiceAccountToken"] is False, pod.of
        assert pod.spec.get("enableServiceLinks", pod.kind == "InferenceService") is (pod.kind == "InferenceService")


def test_every_pod_is_behind_the_closed_door(manifests: tuple[Manifest, ...]) -> None:
    ours = [pod for pod in pods(manifests) if pod.kind != "InferenceService"]
    if not ours:
        return
    closed = named(manifests, "NetworkPolicy", "deny-all")["spec"]
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & closed.keys()
    for pod in ours:
        assert closed["podSelector"]["matchLabels"].items() <= pod.labels.items(), pod.of


def test_namespaces_only_let_restricted_pods_in(manifests: tuple[Manifest, ...]) -> None:
    for namespace in of_kind(manifests, "Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
