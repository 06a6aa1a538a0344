"""The manifests of k8s/, rendered by the real kubectl, and what is in them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
KUBECTL = Path(sys.prefix) / "bin" / "kubectl"
OVERLAYS = tuple(sorted(path.name for path in (K8S / "overlays").iterdir()))
COMPONENTS = tuple(sorted(path.name for path in (K8S / "components").iterdir()))
BENEATH = {"gateway-tls": ["monitoring"], "gpu": ["tfserving"], "tls": ["ingress"]}
"""What a component changes objects of, beside the base."""
_POD_TEMPLATES = {"Deployment", "StatefulSet", "DaemonSet", "Job"}


@cache
def overlay(name: str) -> tuple[Manifest, ...]:
    """All objects of an overlay."""
    return render(K8S / "overlays" / name)


def render(folder: Path) -> tuple[Manifest, ...]:
    """What `kubectl kustomize` makes of a folder."""
    command = [KUBECTL, "kustomize", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, f"kustomize warns: {done.stderr}"
    return tuple(yaml.safe_load_all(done.stdout))


def on_the_base(component: str, folder: Path) -> tuple[Manifest, ...]:
    """The base with one component, and those that it needs beneath; `folder` is an empty one to write in."""
    listed = [*BENEATH.get(component, []), component]
    kustomization = {
        "namespace": "atelier",
        "resources": [os.path.relpath(K8S / "base", folder)],
        "components": [os.path.relpath(K8S / "components" / name, folder) for name in listed],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render(folder)


def named(manifests: Iterable[Manifest], kind: str, name: str) -> Manifest:
    """The one object of this kind and name."""
    (found,) = [each for each in manifests if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def of_kind(manifests: Iterable[Manifest], kind: str) -> list[Manifest]:
    """All objects of this kind."""
    return [each for each in manifests if each["kind"] == kind]


def title(manifest: Manifest) -> str:
    """An object as kubectl names it."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


@dataclass(frozen=True)
class Pod:
    """A pod that an object makes: its labels and its spec."""

    of: str
    kind: str
    labels: Mapping[str, str]
    spec: Manifest

    def containers(self) -> Iterator[tuple[str, Manifest]]:
        """Every container by a name that says where it is, init containers too."""
        for each in [*self.spec.get("initContainers", []), *self.spec["containers"]]:
            yield f"{self.of} {each['name']}", each

    def serving_containers(self) -> Iterator[tuple[str, Manifest]]:
        """Those that go on running: none of a Job, and of the init containers only sidecars."""
        if self.kind in {"Job", "TFJob"}:
            return
        starting = {each["name"] for each in self.spec.get("initContainers", []) if each.get("restartPolicy") is None}
        for where, container in self.containers():
            if container["name"] not in starting:
                yield where, container


def pods(manifests: Iterable[Manifest]) -> list[Pod]:
    """Every pod template: those of the workloads, TFJob's replicas, and KServe's, which come in two halves."""
    manifests = tuple(manifests)
    found = []
    for each in manifests:
        if each["kind"] in _POD_TEMPLATES:
            found.append(_pod(each, each["spec"]["template"]))
        elif each["kind"] == "TFJob":
            found += [_pod(each, replica["template"]) for replica in each["spec"]["tfReplicaSpecs"].values()]
        elif each["kind"] == "InferenceService":
            predictor = each["spec"]["predictor"]
            runtime = named(manifests, "ServingRuntime", predictor["model"]["runtime"])["spec"]
            found.append(Pod(title(each), each["kind"], {}, {**predictor, **runtime}))
    return found


def _pod(manifest: Manifest, template: Manifest) -> Pod:
    return Pod(title(manifest), manifest["kind"], template["metadata"]["labels"], template["spec"])
