"""Jobs that the end-to-end test adds: load from inside the cluster, and one more version."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.manifests import K8S, Manifest

LOAD_IMAGE = "atelier/loadtest:0.1.0"
PART = {"app.kubernetes.io/part-of": "atelier"}


def load_job(
    name: str,
    *,
    host: str,
    model: str,
    seconds: int,
    users: int = 8,
    classes: tuple[str, ...] = ("GrpcUser", "RestUser"),
) -> Manifest:
    """Locust without its page. The Job fails when a single request fails.

    Labelled as no part of Atelier: it is a client, and clients are who the network policies let in.
    """
    arguments = [
        "--headless",
        f"--users={users}",
        f"--spawn-rate={users}",
        f"--run-time={seconds}s",
        f"--host={host}",
        f"--model={model}",
        "--data=random",
        "--exit-code-on-error=1",
        *classes,
    ]
    container: dict[str, Any] = {
        "name": "locust",
        "image": LOAD_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments,
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
    }
    labels = {"app.kubernetes.io/name": "load"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def train_job(name: str, *, seed: int) -> Manifest:
    """The component's own Job once more, small as all pods there: it publishes the next version of the same model."""
    job: Manifest = yaml.safe_load((K8S / "components" / "train-job" / "job.yaml").read_text())
    job["metadata"]["name"] = name
    for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        labels.update(PART)
    (train,), (export,) = (job["spec"]["template"]["spec"][kind] for kind in ("initContainers", "containers"))
    for container in (train, export):
        container["resources"] = {**container["resources"], "requests": {"cpu": "100m", "memory": "256Mi"}}
    train["args"] = [*train["args"], "--seed", str(seed)]
    return job
