"""KServe's Python server with a custom predictor, over the Open Inference Protocol's gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

from benchmarks.peers.servers.options import read_options
from benchmarks.processes import free_port
from benchmarks.session import open_session


class Classifier(Model):
    """The ONNX model; KServe batches in another container, not here."""

    def __init__(self, name: str, onnx_file: Path) -> None:
        super().__init__(name)
        self._session = open_session(onnx_file)
        self._outputs = [self._session.get_outputs()[0].name]
        self.ready = True

    async def predict(self, payload: InferRequest, *_: Any) -> InferResponse:
        """One run."""
        tensor = payload.inputs[0]
        scores = self._session.run(self._outputs, {tensor.name: tensor.as_numpy()})[0]
        output = InferOutput(self._outputs[0], list(scores.shape), "FP32")
        output.set_data_from_numpy(scores, binary_data=payload.from_grpc)
        return InferResponse(payload.id, self.name, [output])


def main() -> None:
    """Serves until SIGTERM."""
    options = read_options()
    server = ModelServer(
        http_port=free_port(),
        grpc_port=options.port,
        enable_latency_logging=False,
    )
    server.start([Classifier(options.name, options.onnx_file)])


if __name__ == "__main__":
    main()
