"""What TF_CONFIG says, and what it must not say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from training.cluster import ALONE, Cluster, read_cluster
from training.errors import UsageError

THREE = ["a:1", "b:2", "c:3"]


def read(cluster: object, job: object, index: object) -> Cluster:
    return read_cluster({"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": job, "index": index}})})


@pytest.mark.parametrize("text", [None, "", "{}", '{"cluster": {}}', '{"cluster": {}, "task": {}}'])
def test_without_a_cluster_a_process_trains_alone_and_writes_the_run(text: str | None) -> None:
    cluster = read_cluster({} if text is None else {"TF_CONFIG": text})

    assert cluster == ALONE
    assert cluster.is_chief
    assert not cluster.has_others


@pytest.mark.parametrize("index", [0, 1, 2])
def test_without_a_chief_worker_0_writes_the_run(index: int) -> None:
    cluster = read({"worker": THREE}, "worker", index)

    assert cluster == Cluster(("a:1", "b:2", "c:3"), index, f"worker {index}")
    assert cluster.is_chief == (index == 0)
    assert cluster.has_others
    assert cluster.address == THREE[index]


def test_a_chief_comes_before_all_workers() -> None:
    jobs = {"worker": ["b:2", "c:3"], "chief": ["a:1"]}

    assert read(jobs, "chief", 0) == Cluster(("a:1", "b:2", "c:3"), 0, "chief 0")
    assert read(jobs, "worker", 0) == Cluster(("a:1", "b:2", "c:3"), 1, "worker 0")
    assert not read(jobs, "worker", 0).is_chief


def test_a_cluster_of_one_has_nobody_to_wait_for() -> None:
    assert not read({"worker": ["a:1"]}, "worker", 0).has_others


def test_what_a_tfjob_adds_is_passed_over() -> None:
    text = json.dumps(
        {
            "cluster": {"worker": THREE},
            "task": {"type": "worker", "index": 1},
            "environment": "cloud",
            "rpc_layer": "grpc",
        }
    )

    assert read_cluster({"TF_CONFIG": text}).place == 1


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{", ""),
        ("[]", ""),
        ('"worker"', ""),
        ({"cluster": {"worker": THREE}}, ""),
        ({"cluster": {"worker": THREE}, "task": {"type": "worker"}}, ""),
        ({"cluster": {"worker": THREE}, "task": {"type": "evaluator", "index": 0}}, ""),
        ({"cluster": {"worker": THREE}, "task": {"type": "worker", "index": "one"}}, "invalid literal"),
        ({"cluster": {"worker": THREE}, "task": {"type": "worker", "index": 3}}, "there is no worker 3"),
        ({"cluster": {"worker": THREE}, "task": {"type": "worker", "index": -1}}, "there is no worker -1"),
        ({"cluster": {"worker": [7]}, "task": {"type": "worker", "index": 0}}, ""),
        ({"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}, "no host:port"),
        ({"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker", "index": 0}}, "'b' is no host:port"),
        ({"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}, "named twice"),
        (
            {"cluster": {"worker": THREE, "ps": ["d:4"]}, "task": {"type": "ps", "index": 0}},
            "only chief and worker can take part, not ps",
        ),
        ({"cluster": {"chief": ["a:1", "b:2"]}, "task": {"type": "chief", "index": 0}}, "2 chiefs, expected one"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(config: Any, reason: str) -> None:
    text = config if isinstance(config, str) else json.dumps(config)

    with pytest.raises(UsageError) as refused:
        read_cluster({"TF_CONFIG": text})

    said = str(refused.value)
    assert said.startswith('$TF_CONFIG: expected {"cluster": {"worker": ["host:port", …]}')
    assert repr(text) in said
    assert reason in said
