"""Single images through the gateway, which batches them, beside the same requests to the server itself: `make soak`."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

from benchmarks.load import Load, run_load, tool_for
from benchmarks.model import Model
from benchmarks.random_mlp import write_random_mlp
from tests.support.gateway import running_gateway
from tests.support.tfs import outputs, predict_request
from tests.support.tfserving import IS_REAL, running_tfserving, write_models_config

ROUNDS, SECONDS = 5, 3


def check(address: str, model: Model) -> None:
    pixels = model.inputs(3)
    with grpc.insecure_channel(address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = outputs(stub.Predict(predict_request(model.name, pixels=pixels), timeout=30.0))
    np.testing.assert_allclose(answer[model.output_name], model.expected(pixels), atol=1e-6)


@pytest.mark.soak
@pytest.mark.skipif(tool_for("grpc") is None, reason="h2load is not installed")
def test_batching_in_front_of_a_server_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_random_mlp(tmp_path / "models")
    config = write_models_config(tmp_path / "models.config", {model.name: tmp_path / "models" / model.name})
    lines = []
    with running_tfserving(config) as (server,):
        settings = {"tfserving_addresses": (server.address,), "tfserving_models": (model.name,)}
        with running_gateway(tmp_path / "nothing", backend="tfserving", **settings) as gateway:
            addresses = {"direct": server.address, "gateway": gateway.grpc_address}
            for address in addresses.values():
                check(address, model)
            for in_flight in (1, 16, 64):
                seen: dict[str, list[Load]] = {name: [] for name in addresses}
                for _ in range(ROUNDS):
                    for name, address in addresses.items():
                        target = SimpleNamespace(grpc_port=int(address.rpartition(":")[2]))
                        seen[name].append(
                            run_load(target, "grpc", model, in_flight=in_flight, seconds=SECONDS)  # type: ignore[arg-type]
                        )
                speed = {name: median(load.per_second for load in loads) for name, loads in seen.items()}
                p50 = {name: median(load.p50_ms for load in loads) for name, loads in seen.items()}
                p99 = {name: median(load.p99_ms for load in loads) for name, loads in seen.items()}
                assert all(load.failed == 0 for loads in seen.values() for load in loads)
                lines.append(
                    f"{in_flight:>3} in flight: direct {speed['direct']:,.0f}/s (p50 {p50['direct']:.2f} ms, "
                    f"p99 {p99['direct']:.2f} ms), gateway {speed['gateway']:,.0f}/s (p50 {p50['gateway']:.2f} ms, "
                    f"p99 {p99['gateway']:.2f} ms), ratio {speed['gateway'] / speed['direct']:.2f}"
                )
            for address in addresses.values():
                check(address, model)
    with capsys.disabled():
        print(f"\n{'tensorflow_model_server' if IS_REAL else 'the stand-in'}, medians of {ROUNDS} alternating rounds:")
        print("\n".join(lines))
