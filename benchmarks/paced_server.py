"""A TensorFlow Serving server whose model takes a set time and no processor: what an accelerator elsewhere looks like.

It runs one batch after the other, each in `--ms-per-batch` and `--ms-per-row` for each row, and answers zeros. What is
measured of queues and refusals then depends less on how busy the machine is otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
import numpy as np

from serving.signatures import Signature, TensorSpec
from serving.wire.atelier_tfs_pb2 import (
    GetModelMetadataResponse,
    GetModelStatusResponse,
    PredictRequest,
    PredictResponse,
    SignatureDefMap,
)
from serving.wire.tensors import encode_tensor, encode_tensor_info

NAME = "paced"
SCORES = TensorSpec("scores", "float32", (None, 10))
SIGNATURE = Signature((TensorSpec("pixels", "uint8", (None, 28, 28)),), (SCORES,))
_AVAILABLE = 30


class PacedModel:
    """uint8 `pixels` [N, 28, 28] → float32 `scores` [N, 10], all zeros; messages are serialized."""

    def __init__(self, s_per_batch: float, s_per_row: float) -> None:
        self._s_per_batch = s_per_batch
        self._s_per_row = s_per_row
        self._device = asyncio.Lock()

    async def predict(self, message: bytes, _: object) -> bytes:
        """Takes its time."""
        rows = PredictRequest.FromString(message).inputs["pixels"].tensor_shape.dim[0].size
        async with self._device:
            await asyncio.sleep(self._s_per_batch + rows * self._s_per_row)
        response = PredictResponse()
        encode_tensor(response.outputs[SCORES.name], np.zeros((rows, 10), np.float32), SCORES.element)
        return response.SerializeToString()

    async def metadata(self, *_: object) -> bytes:
        """The signature."""
        signatures = SignatureDefMap()
        entry = signatures.signature_def["serving_default"]
        entry.method_name = SIGNATURE.method
        encode_tensor_info(entry.inputs["pixels"], SIGNATURE.inputs[0])
        encode_tensor_info(entry.outputs["scores"], SCORES)
        response = GetModelMetadataResponse()
        response.metadata["signature_def"].value = signatures.SerializeToString()
        return response.SerializeToString()

    async def status(self, *_: object) -> bytes:
        """One version, available."""
        response = GetModelStatusResponse()
        response.model_version_status.add(version=1, state=_AVAILABLE)
        return response.SerializeToString()


async def serve(model: PacedModel) -> None:
    """Listens on a free port, says which, and goes on until it is stopped."""
    server = grpc.aio.server()
    services: dict[str, dict[str, Callable[[bytes, object], Awaitable[bytes]]]] = {
        "tensorflow.serving.PredictionService": {"Predict": model.predict, "GetModelMetadata": model.metadata},
        "tensorflow.serving.ModelService": {"GetModelStatus": model.status},
    }
    for name, methods in services.items():
        handlers = {method: grpc.unary_unary_rpc_method_handler(answer) for method, answer in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"port {port}", flush=True)
    await server.wait_for_termination()


def main() -> int:
    """Reads the command line and serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ms-per-batch", type=float, required=True)
    parser.add_argument("--ms-per-row", type=float, required=True)
    options = parser.parse_args()
    asyncio.run(serve(PacedModel(options.ms_per_batch / 1e3, options.ms_per_row / 1e3)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
