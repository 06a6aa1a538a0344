"""What the end-to-end test asks a cluster's gateways, asked of one on this machine."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from tests.support.cluster import Cluster
from tests.support.cluster_jobs import load_job
from tests.support.cluster_steps import MODEL, ask_from_outside
from tests.support.digits_bundle import write_digits_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.manifests import KUBECTL, ROOT


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Serves `digits`, and `doubled`, whose probabilities sum to two."""
    models = tmp_path_factory.mktemp("models")
    write_digits_bundle(models / MODEL / "1")
    write_digits_bundle(models / "doubled" / "1", sums_to=2.0)
    with running_gateway(models) as running:
        yield running


@dataclass(frozen=True)
class Here(Cluster):
    """A cluster of one gateway, on this machine."""

    gateway: RunningGateway

    def read(self, pod: str, path: str) -> str:
        """As from inside the pod."""
        return self.gateway.rest.get(path).raise_for_status().text

    @contextlib.contextmanager
    def forwarded(self, service: str, ports: Sequence[int]) -> Iterator[list[int]]:
        """The gateway's own ports."""
        assert (service, ports) == ("gateway", [8500, 8501])
        yield [urlsplit(f"//{address}").port or 0 for address in (self.gateway.grpc_address, self.gateway.rest_url[7:])]


def load(gateway: RunningGateway, model: str) -> subprocess.CompletedProcess[str]:
    job = load_job("load", host=gateway.rest_url, model=model, seconds=3)
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    command = [sys.executable, "-m", "locust", "-f", ROOT / "loadtest" / "locustfile.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_the_loads_arguments_are_locusts_and_its_answers_are_counted(gateway: RunningGateway) -> None:
    here = Here(KUBECTL, "none", gateway)
    before = here.answered("gateway")
    ended = load(gateway, MODEL)
    assert ended.returncode == 0, ended.stderr
    assert here.answered("gateway") > before
    assert here.available_versions("gateway", MODEL) == {1}


def test_a_failed_request_fails_the_load(gateway: RunningGateway) -> None:
    assert load(gateway, "doubled").returncode == 1


def test_both_clients_get_the_same_answer(gateway: RunningGateway) -> None:
    ask_from_outside(Here(KUBECTL, "none", gateway))
