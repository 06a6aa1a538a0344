"""The end-to-end test's own commands, in order, against a stand-in for kubectl: no cluster runs here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import kubernetes_validate
import pytest

from tests.support.cluster import Cluster, ClusterError
from tests.support.cluster_jobs import load_job, train_job
from tests.support.cluster_steps import (
    HEADLESS_HOST,
    HOST,
    deploy,
    lose_a_tfserving_pod,
    publish_under_load,
    roll_under_load,
    scale_out_under_load,
)
from tests.support.manifests import ROOT

STAND_IN = """#!{python}
# kubectl for a cluster in which everything comes about at once. `rolled` and `scaled` change the pods, load is counted.
import json, pathlib, sys

folder = pathlib.Path(__file__).parent
arguments = sys.argv[3:]
command = " ".join(arguments)
with (folder / "commands").open("a") as log:
    log.write(command.split(" python -c ")[0] + "\\n")
if "--filename -" in command:
    with (folder / "commands").open("a") as log:
        log.write("  " + json.loads(sys.stdin.read())["metadata"]["name"] + "\\n")
told = (folder / "commands").read_text()
if command.startswith("get job"):
    kind = "Failed" if (folder / "fails").exists() else "Complete"
    ended = "load" not in command or told.count(command) > 1 or (folder / "short").exists()
    print(json.dumps({{"status": {{"conditions": [{{"type": kind, "status": "True"}}]}}}} if ended else {{}}))
elif command.startswith("get pods"):
    name = command.partition("name=")[2].partition(" ")[0]
    count = 3 if "scale deployment" in told else 2
    kind = "new" if "rollout restart" in told else "old"
    ready = {{"conditions": [{{"type": "Ready", "status": "True"}}]}}
    gone = {{"metadata": {{"name": "gone", "deletionTimestamp": "now"}}, "status": ready}}
    pods = [{{"metadata": {{"name": f"{{name}}-{{kind}}-{{i}}"}}, "status": ready}} for i in range(count)]
    print(json.dumps({{"items": [*pods, gone]}}))
elif command.endswith("/metrics"):
    counted = folder / f"answered-{{arguments[1]}}"
    counted.write_text(counted.read_text() + "x" if counted.exists() else "x")
    share = 0 if (folder / "starves").exists() and arguments[1].endswith("2") else len(counted.read_text())
    print('atelier_requests_total{{model_name="digits",api="Predict",outcome="ok"}} %d' % (100 * share))
elif "/v1/models/" in command:
    version = 2 if "train-again" in told else 1
    print(json.dumps({{"model_version_status": [{{"version": str(version), "state": "AVAILABLE"}}]}}))
elif command.startswith("logs"):
    print("1 request failed")
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A cluster in which everything comes about at once."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(STAND_IN.format(python=sys.executable))
    kubectl.chmod(0o755)
    return Cluster(kubectl, "atelier-e2e")


def commands(cluster: Cluster) -> list[str]:
    """What was changed, without what was only looked at."""
    lines = (cluster.kubectl.parent / "commands").read_text().splitlines()
    return [line for line in lines if not line.startswith(("get pods", "exec"))]


def test_deploying_waits_for_the_model_before_the_gateways(cluster: Cluster) -> None:
    deploy(cluster)
    assert commands(cluster) == [
        "delete namespace atelier-e2e --ignore-not-found --wait",
        f"apply --kustomize {ROOT / 'tests' / 'k8s' / 'e2e'}",
        "get job train --output json",
        "rollout status deployment/tfserving --timeout=300s",
        "rollout status deployment/gateway --timeout=300s",
    ]


def test_a_version_is_published_while_load_is_on(cluster: Cluster) -> None:
    publish_under_load(cluster)
    assert commands(cluster) == [
        "apply --filename -",
        "  load-publish",
        "apply --filename -",
        "  train-again",
        "get job train-again --output json",
        "get job load-publish --output json",
        "get job load-publish --output json",
    ]


def test_a_rollout_happens_while_load_is_on(cluster: Cluster) -> None:
    roll_under_load(cluster)
    assert commands(cluster) == [
        "apply --filename -",
        "  load-roll",
        "rollout restart deployment/gateway",
        "rollout status deployment/gateway --timeout=300s",
        "get job load-roll --output json",
        "get job load-roll --output json",
    ]


def test_a_tfserving_pod_is_lost_while_load_is_on(cluster: Cluster) -> None:
    lose_a_tfserving_pod(cluster)
    assert commands(cluster)[2:4] == [
        "delete pod tfserving-old-0 --grace-period=0 --force",
        "get job load-upstream --output json",
    ]


def test_scaling_out_passes_when_the_new_gateway_gets_its_part(cluster: Cluster) -> None:
    scale_out_under_load(cluster)
    assert commands(cluster)[2:] == [
        "scale deployment/gateway --replicas=3",
        "rollout status deployment/gateway --timeout=300s",
        "get job load-scale --output json",
        "get job load-scale --output json",
    ]


def test_scaling_out_fails_when_the_new_gateway_gets_nothing(cluster: Cluster) -> None:
    (cluster.kubectl.parent / "starves").touch()
    with pytest.raises(AssertionError, match="gateway-old-2"):
        scale_out_under_load(cluster)


def test_a_failed_request_fails_the_step_with_the_log(cluster: Cluster) -> None:
    (cluster.kubectl.parent / "fails").touch()
    with pytest.raises(ClusterError, match="job load-roll failed:\n1 request failed"):
        roll_under_load(cluster)


def test_load_that_was_over_too_early_proves_nothing(cluster: Cluster) -> None:
    (cluster.kubectl.parent / "short").touch()
    with pytest.raises(AssertionError, match="job load-roll ended before what was to happen under its load"):
        roll_under_load(cluster)


def test_what_went_on_is_described_even_if_nothing_can_be_asked(cluster: Cluster) -> None:
    assert '"items"' in cluster.describe()
    cluster.kubectl.write_text("#!/bin/sh\necho no cluster >&2; exit 1\n")
    assert cluster.describe().count("no cluster") == 2


@pytest.mark.parametrize("host", [HOST, HEADLESS_HOST])
def test_the_jobs_are_accepted(host: str) -> None:
    for job in (load_job("load", host=host, model="digits", seconds=60), train_job("again", seed=2)):
        kubernetes_validate.validate(json.loads(json.dumps(job)), "1.37", strict=True)
