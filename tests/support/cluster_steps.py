"""The end-to-end test's steps, in the order in which they build on each other."""

from __future__ import annotations

import grpc
import httpx
import numpy as np
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tests.support.cluster import Cluster
from tests.support.cluster_jobs import load_job, train_job
from tests.support.manifests import ROOT
from tests.support.tfs import outputs, predict_request
from tests.support.waiting import wait_until

MODEL, UPSTREAM_MODEL = "digits", "digits-tfserving"
HOST = "http://gateway:8501"
HEADLESS_HOST = "http://gateway-grpc:8501"
FAIR_SHARE = 0.5
"""Of an equal share of the requests, what every gateway has to get."""


def deploy(cluster: Cluster) -> None:
    """From nothing to a trained model that two gateways serve, themselves and through TensorFlow Serving."""
    cluster.deploy(ROOT / "tests" / "k8s" / "e2e")
    cluster.wait_for_job("train")
    for deployment in ("tfserving", "gateway"):
        cluster.wait_for_rollout(deployment)
    for pod in cluster.ready_pods("gateway"):
        wait_until(lambda pod=pod: cluster.available_versions(pod, MODEL) == {1}, timeout_s=120.0)


def ask_from_outside(cluster: Cluster) -> None:
    """The official gRPC client and plain REST get the same answer, through kubectl's tunnel."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8)).astype(np.uint8)
    with cluster.forwarded("gateway", [8500, 8501]) as (grpc_port, rest_port):
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            over_grpc = outputs(stub.Predict(predict_request(MODEL, pixels=pixels), timeout=60.0))["scores"]
        url = f"http://127.0.0.1:{rest_port}/v1/models/{MODEL}:predict"
        answer = httpx.post(url, json={"instances": pixels.tolist()}, timeout=60.0).raise_for_status().json()
    np.testing.assert_allclose(over_grpc, answer["predictions"], atol=1e-5)


def publish_under_load(cluster: Cluster) -> None:
    """A second version is served by all gateways, without a rollout and without a failed request."""
    before = cluster.ready_pods("gateway")
    cluster.apply(load_job("load-publish", host=HOST, model=MODEL, seconds=420))
    _wait_for_load(cluster, before)
    cluster.apply(train_job("train-again", seed=2))
    cluster.wait_for_job("train-again")
    for pod in before:
        wait_until(lambda pod=pod: 2 in cluster.available_versions(pod, MODEL), timeout_s=120.0)
    _end_of_load(cluster, "load-publish")
    assert set(cluster.ready_pods("gateway")) == set(before)


def roll_under_load(cluster: Cluster) -> None:
    """Every gateway is replaced, and no request fails."""
    before = cluster.ready_pods("gateway")
    cluster.apply(load_job("load-roll", host=HOST, model=MODEL, seconds=300))
    _wait_for_load(cluster, before)
    cluster.call("rollout", "restart", "deployment/gateway")
    cluster.wait_for_rollout("gateway")
    _end_of_load(cluster, "load-roll")
    assert not set(before) & set(cluster.ready_pods("gateway"))


def lose_a_tfserving_pod(cluster: Cluster) -> None:
    """One of two TensorFlow Serving pods goes without a word, and no request that goes through them fails."""
    victim, *_ = cluster.ready_pods("tfserving")
    cluster.apply(load_job("load-upstream", host=HOST, model=UPSTREAM_MODEL, seconds=90))
    _wait_for_load(cluster, cluster.ready_pods("gateway"))
    cluster.call("delete", "pod", victim, "--grace-period=0", "--force")
    _end_of_load(cluster, "load-upstream")
    cluster.wait_for_rollout("tfserving")


def scale_out_under_load(cluster: Cluster) -> None:
    """A third gateway gets its part of the load from clients that are connected already."""
    cluster.apply(load_job("load-scale", host=HEADLESS_HOST, model=MODEL, seconds=360, users=30, classes=("GrpcUser",)))
    _wait_for_load(cluster, cluster.ready_pods("gateway"))
    cluster.call("scale", "deployment/gateway", "--replicas=3")
    cluster.wait_for_rollout("gateway")
    pods = cluster.ready_pods("gateway")
    assert len(pods) == 3
    new = {pod: cluster.answered(pod) for pod in pods}
    _end_of_load(cluster, "load-scale")
    answered = [cluster.answered(pod) - new[pod] for pod in pods]
    assert min(answered) > FAIR_SHARE * sum(answered) / len(pods), dict(zip(pods, answered, strict=True))


def _wait_for_load(cluster: Cluster, pods: list[str]) -> None:
    counted = sum(map(cluster.answered, pods))
    wait_until(lambda: sum(map(cluster.answered, pods)) > counted, timeout_s=120.0)


def _end_of_load(cluster: Cluster, job: str) -> None:
    """Until the load is over, which has to be on still: what came before happened under it."""
    assert not cluster.is_complete(job), f"job {job} ended before what was to happen under its load: give it longer"
    cluster.wait_for_job(job)


STEPS = (deploy, ask_from_outside, publish_under_load, roll_under_load, lose_a_tfserving_pod, scale_out_under_load)
