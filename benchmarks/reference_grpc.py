"""A plain `grpc.aio` server over ONNX Runtime with the official TensorFlow Serving stubs, without batching.

What one writes with the tools at hand, and writes well: raw `tensor_content` read without a copy, the session
called on the event loop (a thread costs more than a small model), answers in `float_val` like TF Serving's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

import grpc
import numpy as np
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from benchmarks.session import open_session

DTYPES: dict[int, type[np.generic]] = {
    1: np.float32,
    4: np.uint8,
}  # DataType of tensorflow/core/framework/types.proto
DT_FLOAT = 1


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """Answers Predict for one model, one input and one output."""

    def __init__(self, onnx_file: Path) -> None:
        self._session = open_session(onnx_file)
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    async def Predict(  # noqa: N802 - the name of the RPC
        self,
        request: predict_pb2.PredictRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002 - the interface of grpc
    ) -> predict_pb2.PredictResponse:
        """One request, one call of the session."""
        tensor = request.inputs[self._input]
        shape = [dim.size for dim in tensor.tensor_shape.dim]
        values = np.frombuffer(tensor.tensor_content, DTYPES[tensor.dtype]).reshape(shape)
        scores = self._session.run([self._output], {self._input: values})[0]
        response = predict_pb2.PredictResponse()
        response.model_spec.CopyFrom(request.model_spec)
        output = response.outputs[self._output]
        output.dtype = DT_FLOAT
        for size in scores.shape:
            output.tensor_shape.dim.add().size = size
        output.float_val.extend(scores.ravel().tolist())
        return response


async def serve(onnx_file: Path, port: int) -> None:
    """Serves until the process is ended; prints its port as one line of JSON when ready."""
    server = grpc.aio.server()
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(onnx_file), server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print(json.dumps({"grpc_port": bound}), flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Reads the command line and serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--onnx-file", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    options = parser.parse_args()
    asyncio.run(serve(options.onnx_file, options.port))


if __name__ == "__main__":
    main()
