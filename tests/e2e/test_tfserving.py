"""A gateway in front of TensorFlow Serving servers: it serves what they serve, whatever happens to one of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

from serving.signatures import DTYPES
from tests.support.bundles import remove, write_bundle
from tests.support.cli import atelier, atelier_serve
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.image_files import plain
from tests.support.load import steady_load
from tests.support.onnx_models import expected_scores, write_brightness_model, write_row_maximum_model
from tests.support.ports import free_ports
from tests.support.tfs import failure, outputs, predict_request
from tests.support.tfserving import TfServing, running_tfserving, write_models_config
from tests.support.waiting import wait_until

PIXELS = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
IN_FLIGHT = 32
SOAK_S, KILL_EVERY_S = 180.0, 20.0
LOST = 'atelier_upstream_rpcs_total{outcome="lost"'


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Versions 3 and 4 of `brightness`; whoever wants more of them writes them there."""
    for version in (3, 4):
        write_brightness_model(tmp_path / "models" / "brightness" / str(version), scale=version)
    return tmp_path / "models"


@pytest.fixture
def configuration(models: Path, tmp_path: Path) -> Path:
    return write_models_config(
        tmp_path / "models.config", {"brightness": models / "brightness"}, labels={"stable": 3, "canary": 4}
    )


@pytest.fixture
def servers(configuration: Path) -> Iterator[list[TfServing]]:
    with running_tfserving(configuration, count=2) as running:
        yield running


def upstream_settings(servers: list[TfServing]) -> dict[str, object]:
    return {
        "backend": "tfserving",
        "tfserving_addresses": tuple(server.address for server in servers),
        "tfserving_models": ("brightness",),
    }


@pytest.fixture
def gateway(servers: list[TfServing], tmp_path: Path) -> Iterator[RunningGateway]:
    """Has no models folder of its own."""
    with running_gateway(tmp_path / "nothing", **upstream_settings(servers)) as running:
        wait_until(lambda: versions_of(running) == {3, 4})
        yield running


@pytest.fixture
def stub(gateway: RunningGateway) -> Iterator[prediction_service_pb2_grpc.PredictionServiceStub]:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def test_versions_and_labels_are_those_of_the_servers(
    stub: prediction_service_pb2_grpc.PredictionServiceStub,
) -> None:
    for version, label, expected in ((None, "", 4), (3, "", 3), (4, "", 4), (None, "stable", 3), (None, "canary", 4)):
        request = predict_request("brightness", version=version, pixels=PIXELS)
        if label:
            request.model_spec.version_label = label
        answer = stub.Predict(request, timeout=60.0)
        assert answer.model_spec.version.value == expected
        np.testing.assert_array_equal(outputs(answer)["scores"], expected_scores(PIXELS, expected))


def test_metadata_is_that_of_the_server(
    stub: prediction_service_pb2_grpc.PredictionServiceStub, servers: list[TfServing]
) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "brightness"
    with grpc.insecure_channel(servers[0].address) as channel:
        direct = prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(request, timeout=60.0)
    ours = stub.GetModelMetadata(request, timeout=60.0)
    found = []
    for answer in (direct, ours):
        signatures = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        entry = signatures.signature_def["serving_default"]
        tensors = {**entry.inputs, **entry.outputs}
        found.append({name: (info.dtype, str(info.tensor_shape)) for name, info in tensors.items()})
    assert found[0] == found[1]
    assert ours.model_spec.version.value == direct.model_spec.version.value


def test_an_unknown_version_and_what_the_model_refuses_are_said_so(
    stub: prediction_service_pb2_grpc.PredictionServiceStub,
) -> None:
    code, text = failure(stub.Predict, predict_request("brightness", version=9, pixels=PIXELS))
    assert (code, text) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(brightness, 9)",
    )
    code, text = failure(stub.Predict, predict_request("brightness", pixels=PIXELS[:, 0]))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text == 'input "pixels": expected shape [?, 2, 2], received [2, 2]'


def versions_of(gateway: RunningGateway) -> set[int]:
    answer = gateway.rest.get("/v1/models/brightness").json()
    available = [one for one in answer.get("model_version_status", ()) if one["state"] == "AVAILABLE"]
    return {int(one["version"]) for one in available}


def test_versions_come_and_go_as_on_the_servers(gateway: RunningGateway, models: Path) -> None:
    write_bundle(models / "brightness" / "5", scale=5.0)
    wait_until(lambda: versions_of(gateway) == {3, 4, 5})
    remove(models / "brightness" / "3")
    wait_until(lambda: versions_of(gateway) == {4, 5})


async def test_a_version_that_is_replaced_on_the_servers_fails_no_request(
    gateway: RunningGateway, models: Path, configuration: Path
) -> None:
    request = predict_request("brightness", pixels=PIXELS)
    async with steady_load(gateway.grpc_address, request, IN_FLIGHT) as tally:
        await tally.seen(4, 100)
        for version in (5, 6):
            write_bundle(models / "brightness" / str(version), scale=version)
            write_models_config(configuration, {"brightness": models / "brightness"}, policy="latest {}")
            await tally.seen(version, 100)
    assert tally.failures == []


def test_a_bundle_that_lies_here_too_lends_its_labels_and_its_image_size(tmp_path: Path) -> None:
    write_bundle(tmp_path / "models" / "brightness" / "1")
    base_path = tmp_path / "models" / "brightness"
    configuration = write_models_config(tmp_path / "models.config", {"brightness": base_path})
    with running_tfserving(configuration) as servers:
        settings = {**upstream_settings(servers), "tfserving_models": ()}
        with running_gateway(tmp_path / "models", **settings) as gateway:
            gateway.wait_until_ready()
            answer = gateway.rest.post("/v1/models/brightness:classify", content=plain(200))
    assert {one["label"] for one in answer.json()["classes"]} == {"zero", "one", "two"}


def test_a_gateway_may_stand_before_another_one(models: Path, tmp_path: Path) -> None:
    """Whose HTTP/2 has windows and frames of its own."""
    write_row_maximum_model(models / "largest" / "1")
    numbers = np.zeros((4, 1_000_000), np.float32)
    numbers[:, 77] = np.arange(4)
    with running_gateway(models) as behind:
        settings = {
            "backend": "tfserving",
            "tfserving_addresses": (behind.grpc_address,),
            "tfserving_models": ("brightness", "largest"),
        }
        with (
            running_gateway(tmp_path / "nothing", **settings) as before,
            grpc.insecure_channel(before.grpc_address) as channel,
        ):
            before.wait_until_ready()
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            answer = stub.Predict(predict_request("brightness", pixels=PIXELS), timeout=60.0)
            np.testing.assert_array_equal(outputs(answer)["scores"], expected_scores(PIXELS, 4))
            answer = stub.Predict(predict_request("largest", x=numbers), timeout=60.0)
            np.testing.assert_array_equal(outputs(answer)["y"][:, 0], np.arange(4))


def test_a_gateway_that_starts_first_waits_for_the_servers_and_says_so(configuration: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    server = TfServing(configuration, port)
    with running_gateway(tmp_path / "nothing", **upstream_settings([server])) as gateway:
        ready = gateway.rest.get("/readyz")
        assert ready.status_code == 503
        assert "TensorFlow Serving cannot be reached" in ready.text
        try:
            server.start()
            gateway.wait_until_ready()
            wait_until(lambda: versions_of(gateway) == {3, 4})
        finally:
            server.stop()


async def _kill_in_turn(gateway: RunningGateway, servers: list[TfServing], kills: int, every_s: float) -> str:
    """Kills one server after the other under load and starts it again; fails where a client notices.

    No server is killed before the gateway has missed the one before, and has found it again.
    """
    request = predict_request("brightness", pixels=PIXELS[:1])
    started_at = time.monotonic()
    async with steady_load(gateway.grpc_address, request, IN_FLIGHT) as tally:
        await tally.seen(4, 200)
        for number in range(kills):
            victim = servers[number % len(servers)]
            lost = sum(figures(gateway, LOST))
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(wait_until, lambda lost=lost: sum(figures(gateway, LOST)) > lost)
            await tally.seen(4, tally.answers[4] + 200)
            await asyncio.to_thread(victim.start)
            await asyncio.to_thread(wait_until, lambda: figures(gateway, "atelier_upstream_up{") == [1.0, 1.0])
            await asyncio.sleep(max(0.0, started_at + (number + 1) * every_s - time.monotonic()))
            await tally.seen(4, tally.answers[4] + 200)
    lasted_s = time.monotonic() - started_at
    assert tally.failures == []
    count = sum(tally.answers.values())
    return (
        f"{count:,} requests in {lasted_s:.0f} s at {IN_FLIGHT} in flight, {kills} kills, {len(tally.failures)} failed"
    )


def figures(gateway: RunningGateway, start: str) -> list[float]:
    lines = gateway.rest.get("/metrics").text.splitlines()
    return [float(line.rpartition(" ")[2]) for line in lines if line.startswith(start)]


async def test_two_servers_killed_in_turn_under_load_fail_no_request(
    gateway: RunningGateway, servers: list[TfServing]
) -> None:
    await _kill_in_turn(gateway, servers, kills=2, every_s=0.0)


@pytest.mark.soak
async def test_three_minutes_of_servers_killed_in_turn_under_load_fail_no_request(
    gateway: RunningGateway, servers: list[TfServing], capsys: pytest.CaptureFixture[str]
) -> None:
    summary = await _kill_in_turn(gateway, servers, kills=int(SOAK_S / KILL_EVERY_S), every_s=KILL_EVERY_S)
    with capsys.disabled():
        print(f"\n{summary}")


def test_a_gateway_that_stops_does_not_complain_of_what_it_leaves(servers: list[TfServing], tmp_path: Path) -> None:
    addresses = [part for server in servers for part in ("--tfserving-address", server.address)]
    flags = ("--backend", "tfserving", *addresses, "--tfserving-model", "brightness", "--poll-interval-s", "0.01")
    with atelier_serve(tmp_path / "nothing", *flags) as gateway:
        wait_until(lambda: httpx.get(f"{gateway.rest_url}/readyz").status_code == 200)
        for server in servers:  # so that a look is under way when it stops
            assert server.process is not None
            server.process.send_signal(signal.SIGSTOP)
        gateway.process.terminate()
        said = gateway.process.communicate(timeout=60.0)[1]
    assert gateway.process.returncode == 0
    assert [line for line in said.splitlines() if "WARNING" in line or "ERROR" in line] == []


def test_the_command_line_refuses_the_back_end_without_an_address(tmp_path: Path) -> None:
    result = atelier("serve", "--models", str(tmp_path), "--backend", "tfserving")
    assert result.returncode == 2
    assert "tfserving_addresses: expected at least one HOST:PORT, received none" in result.stderr


@pytest.mark.skipif("TFSERVING_ADDRESS" not in os.environ, reason="TFSERVING_ADDRESS names no TensorFlow Serving")
def test_a_gateway_answers_as_the_server_of_this_machine_does(tmp_path: Path) -> None:
    """`$TFSERVING_MODEL` is one of its models, whose `serving_default` takes numbers."""
    address, model = os.environ["TFSERVING_ADDRESS"], os.environ.get("TFSERVING_MODEL", "fashion-mnist")
    settings = {"backend": "tfserving", "tfserving_addresses": (address,), "tfserving_models": (model,)}
    with running_gateway(tmp_path / "nothing", **settings) as gateway, contextlib.ExitStack() as stack:
        answers = []
        for one in (address, gateway.grpc_address):
            stub = prediction_service_pb2_grpc.PredictionServiceStub(stack.enter_context(grpc.insecure_channel(one)))
            asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
            asked.model_spec.name = model
            signatures = get_model_metadata_pb2.SignatureDefMap()
            stub.GetModelMetadata(asked, timeout=60.0).metadata["signature_def"].Unpack(signatures)
            inputs = {
                name: np.ones([max(1, dim.size) for dim in info.tensor_shape.dim], _numpy_dtype(info.dtype))
                for name, info in signatures.signature_def["serving_default"].inputs.items()
            }
            answer = stub.Predict(predict_request(model, **inputs), timeout=60.0)
            answers.append((answer.model_spec.version.value, outputs(answer)))
    assert answers[0][0] == answers[1][0]
    assert answers[0][1].keys() == answers[1][1].keys()
    for name, array in answers[0][1].items():
        np.testing.assert_allclose(answers[1][1][name], array, rtol=1e-6)


def _numpy_dtype(number: int) -> np.dtype[np.generic]:
    return next(dtype.numpy for dtype in DTYPES.values() if dtype.tensorflow == number)
