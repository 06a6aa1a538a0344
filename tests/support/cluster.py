"""A Kubernetes cluster as kubectl reaches it: what the end-to-end test does and looks at, one method each."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.ports import free_ports
from tests.support.waiting import wait_until

_READ = (
    "import sys, urllib.request as u; "
    "sys.stdout.write(u.urlopen('http://127.0.0.1:8501' + sys.argv[1], timeout=30).read().decode())"
)


class ClusterError(AssertionError):
    """kubectl refused, or something did not come about in time."""


@dataclass(frozen=True)
class Cluster:
    """One namespace of whatever cluster `kubectl` reaches."""

    kubectl: Path
    namespace: str

    def call(self, *arguments: str | Path, stdin: str | None = None, timeout_s: float = 120.0) -> str:
        """What kubectl prints.

        Raises:
            ClusterError: it fails.
        """
        command = [self.kubectl, "--namespace", self.namespace, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
        if done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout

    def deploy(self, folder: Path) -> None:
        """Applies a kustomization, into a namespace without what an earlier run may have left."""
        self.remove()
        self.call("apply", "--kustomize", folder)

    def remove(self) -> None:
        """The namespace goes, and all that is in it."""
        self.call("delete", "namespace", self.namespace, "--ignore-not-found", "--wait", timeout_s=300.0)

    def describe(self) -> str:
        """What a person would look at first after a failure: the pods, and what happened to them."""
        found = []
        for what in (("get", "pods", "--output=wide"), ("get", "events", "--sort-by=.lastTimestamp")):
            try:
                found.append(self.call(*what))
            except (ClusterError, subprocess.TimeoutExpired) as error:
                found.append(str(error))
        return "\n".join(found)

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Applies one object."""
        self.call("apply", "--filename", "-", stdin=json.dumps(manifest))

    def wait_for_rollout(self, deployment: str, timeout_s: int = 300) -> None:
        """Until all its pods are of the newest kind and ready."""
        self.call("rollout", "status", f"deployment/{deployment}", f"--timeout={timeout_s}s", timeout_s=timeout_s + 30)

    def is_complete(self, job: str) -> bool:
        """Whether it has come to a good end.

        Raises:
            ClusterError: it failed, with the end of its log.
        """
        status = json.loads(self.call("get", "job", job, "--output", "json")).get("status", {})
        states = {each["type"] for each in status.get("conditions", []) if each["status"] == "True"}
        if "Failed" in states:
            log = self.call("logs", f"job/{job}", "--all-containers", "--tail=40")
            raise ClusterError(f"job {job} failed:\n{log}")
        return "Complete" in states

    def wait_for_job(self, job: str, timeout_s: float = 900.0) -> None:
        """Until it is complete.

        Raises:
            ClusterError: it failed, with the end of its log, or takes too long.
        """
        give_up_at = time.monotonic() + timeout_s
        while not self.is_complete(job):
            if time.monotonic() > give_up_at:
                raise ClusterError(f"job {job} was not complete within {timeout_s} s")
            time.sleep(1.0)

    def ready_pods(self, name: str) -> list[str]:
        """The names of an application's pods that are ready and not on their way out."""
        listed = json.loads(self.call("get", "pods", f"--selector=app.kubernetes.io/name={name}", "--output", "json"))
        return [
            pod["metadata"]["name"]
            for pod in listed["items"]
            if "deletionTimestamp" not in pod["metadata"]
            and any((each["type"], each["status"]) == ("Ready", "True") for each in pod["status"].get("conditions", []))
        ]

    def read(self, pod: str, path: str) -> str:
        """What a gateway answers to GET, asked from inside its pod."""
        return self.call("exec", pod, "--container=gateway", "--", "python", "-c", _READ, path)

    def available_versions(self, pod: str, model: str) -> set[int]:
        """As the pod's gateway says."""
        statuses = json.loads(self.read(pod, f"/v1/models/{model}"))["model_version_status"]
        return {int(each["version"]) for each in statuses if each["state"] == "AVAILABLE"}

    def answered(self, pod: str) -> float:
        """Requests that a gateway has answered well since it started."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.read(pod, "/metrics"))
            for sample in family.samples
            if sample.name == "atelier_requests_total" and sample.labels["outcome"] == "ok"
        )

    @contextlib.contextmanager
    def forwarded(self, service: str, ports: Sequence[int]) -> Iterator[list[int]]:
        """Ports of this machine that lead to those of a Service, until the block ends."""
        mine = free_ports(len(ports))
        pairs = [f"{here}:{there}" for here, there in zip(mine, ports, strict=True)]
        command = [self.kubectl, "--namespace", self.namespace, "port-forward", f"service/{service}", *pairs]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as forwarding:
            try:
                wait_until(lambda: forwarding.poll() is not None or all(map(_is_open, mine)), timeout_s=60.0)
                yield mine
            finally:
                forwarding.terminate()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
