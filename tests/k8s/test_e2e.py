"""The whole path on a real cluster: `make k8s-e2e`, with kind, k3d, minikube or any other that kubectl reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.cluster import Cluster
from tests.support.cluster_steps import STEPS
from tests.support.manifests import KUBECTL

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A namespace that is gone afterwards."""
    found = Cluster(KUBECTL, "atelier-e2e")
    found.call("version")  # says at once when there is no cluster
    yield found
    found.remove()


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_on_the_cluster(step: Callable[[Cluster], None], cluster: Cluster) -> None:
    try:
        step(cluster)
    except Exception as error:
        error.add_note(cluster.describe())
        raise
