"""MLServer with a custom runtime, over the Open Inference Protocol's gRPC."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.servers.options import read_options
from benchmarks.processes import free_port
from benchmarks.session import open_session


class Classifier(MLModel):
    """The ONNX model at the settings' `uri`."""

    async def load(self) -> bool:
        """Opens the session."""
        self._session = open_session(Path(self.settings.parameters.uri))
        self._input = self._session.get_inputs()[0].name
        self._outputs = [self._session.get_outputs()[0].name]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One run."""
        pixels = NumpyCodec.decode_input(payload.inputs[0])
        scores = self._session.run(self._outputs, {self._input: pixels})[0]
        output = NumpyCodec.encode_output(self._outputs[0], scores)
        return InferenceResponse(model_name=self.name, outputs=[output])


async def main() -> None:
    """Serves until SIGTERM; `--workers 0` runs the model in the server's own process."""
    options = read_options()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        settings = Settings(
            host="127.0.0.1",
            http_port=free_port(),
            grpc_port=options.port,
            metrics_endpoint=None,
            parallel_workers=options.workers,
            debug=False,
        )
        model = ModelSettings(
            name=options.name,
            implementation=Classifier,
            max_batch_size=options.batch if options.batch > 1 else 0,
            max_batch_time=options.wait_ms / 1e3,
            parameters=ModelParameters(uri=str(options.onnx_file)),
        )
        await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(main())
