"""Every object is what the API server and the operators' custom resource definitions accept, field by field."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.support import gateway_api
from tests.support.manifests import K8S, Manifest, on_the_base, overlay, title

OLDEST, NEWEST = "1.33", "1.37"
BUILT_IN = ("v1", "apps/", "batch/", "policy/", "autoscaling/", "networking.k8s.io/")
OPERATORS = {
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
    "cert-manager.io/v1": "cloudcoil.models.cert_manager.v1",
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
}
GATEWAY_API = "gateway.networking.k8s.io/v1"
KUBEFLOW = ("serving.kserve.io/", "kubeflow.org/")
_kinds_tried: set[str] = set()
KSERVE_PYTHON = Path(sys.prefix) / "kserve" / "bin" / "python"


def test_every_object_has_a_schema_here(manifests: tuple[Manifest, ...]) -> None:
    known = (*BUILT_IN, *OPERATORS, GATEWAY_API, *KUBEFLOW)
    assert [title(each) for each in manifests if not each["apiVersion"].startswith(known)] == []


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_api_server_accepts_every_object(manifests: tuple[Manifest, ...], version: str) -> None:
    for each in _of(manifests, BUILT_IN):
        _accept(json.dumps(each), version)


def test_a_job_that_is_applied_by_hand_is_accepted_too() -> None:
    job = yaml.safe_load((K8S / "components" / "train-tfjob" / "export-job.yaml").read_text())
    kubernetes_validate.validate(job, NEWEST, strict=True)


def test_the_operators_accept_their_objects(manifests: tuple[Manifest, ...]) -> None:
    for each in _of(manifests, tuple(OPERATORS)):
        assert _left_out(each) == [], title(each)


def test_the_gateway_api_accepts_its_objects(manifests: tuple[Manifest, ...]) -> None:
    for each in _of(manifests, (GATEWAY_API,)):
        gateway_api.MODELS[each["kind"]].model_validate(each)


def test_kserve_and_kubeflow_accept_their_objects_and_no_others(tmp_path: Path) -> None:
    everything = (*overlay("kserve"), *on_the_base("train-tfjob", tmp_path))
    objects = _of(everything, KUBEFLOW)
    assert {each["kind"] for each in objects} == {"ServingRuntime", "InferenceService", "TFJob"}
    mistakes = _kubeflow_mistakes([*objects, *map(_with_a_strange_field, objects)])
    assert mistakes[: len(objects)] == [[]] * len(objects)
    assert all("replicaz" in str(found) for found in mistakes[len(objects) :])


def test_a_field_that_does_not_exist_is_found(manifests: tuple[Manifest, ...]) -> None:
    new = {each["kind"]: each for each in manifests if each["kind"] not in _kinds_tried}
    _kinds_tried.update(new)
    for each in new.values():
        wrong = _with_a_strange_field(each)
        if each["apiVersion"] in OPERATORS:
            assert _left_out(wrong) == ["spec.replicaz"]
        elif each["apiVersion"] == GATEWAY_API:
            with pytest.raises(ValueError, match="replicaz"):
                gateway_api.MODELS[each["kind"]].model_validate(wrong)
        elif not each["apiVersion"].startswith(KUBEFLOW):
            with pytest.raises(kubernetes_validate.ValidationError):
                kubernetes_validate.validate(wrong, NEWEST, strict=True)


def _with_a_strange_field(manifest: Manifest) -> Manifest:
    return {**manifest, "spec": {**manifest.get("spec", {}), "replicaz": 2}}


@cache
def _accept(manifest: str, version: str) -> None:
    """Raises what is wrong; most objects are the same in many overlays, and a schema takes a while to read."""
    kubernetes_validate.validate(json.loads(manifest), version, strict=True)


def _of(manifests: tuple[Manifest, ...], api_versions: tuple[str, ...]) -> list[Manifest]:
    return [each for each in manifests if each["apiVersion"].startswith(api_versions)]


def _left_out(manifest: Manifest) -> list[str]:
    """The fields that the operator's model does not know; it raises on values that it does not accept."""
    model = getattr(importlib.import_module(OPERATORS[manifest["apiVersion"]]), manifest["kind"])
    known = model.model_validate(manifest).model_dump(by_alias=True, exclude_unset=True, mode="json")
    return _missing(manifest, known)


def _missing(given: Any, kept: Any, where: str = "") -> list[str]:
    if isinstance(given, dict):
        lost = [f"{where}{key}" for key in given if key not in kept]
        return lost + [
            path for key in given if key in kept for path in _missing(given[key], kept[key], f"{where}{key}.")
        ]
    if isinstance(given, list):
        return [path for one, other in zip(given, kept, strict=True) for path in _missing(one, other, where)]
    return []


def _kubeflow_mistakes(objects: list[Manifest]) -> list[list[str]]:
    if not KSERVE_PYTHON.exists():
        pytest.skip("KServe's and Kubeflow's clients are not installed: make kserve")
    command = [KSERVE_PYTHON, Path(__file__).parents[1] / "support" / "kubeflow_models.py"]
    done = subprocess.run(command, input=json.dumps(objects), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found
