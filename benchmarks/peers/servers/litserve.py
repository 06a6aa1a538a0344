"""LitServe: FastAPI in front, the model in a process of its own; raw bytes in and out."""

# No `from __future__ import annotations`: LitServe hands the annotation of `request` to FastAPI as it is.

from typing import Annotated

import numpy as np
from fastapi import Body, Response
from litserve import LitAPI, LitServer

from benchmarks.peers.servers.options import pixels_of, read_options
from benchmarks.session import open_session


class Classifier(LitAPI):
    """The ONNX model; with batching, `predict` takes all images of a batch in one array."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - the interface of LitServe
        """Opens the session, in the model's process."""
        self._session = open_session(read_options().onnx_file)
        self._input = self._session.get_inputs()[0].name

    def decode_request(self, request: Annotated[bytes, Body(media_type="application/octet-stream")]) -> np.ndarray:
        """One image."""
        return pixels_of(request)

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        """Images of one row each."""
        return np.concatenate(inputs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """One run."""
        return np.asarray(self._session.run(None, {self._input: x})[0])

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        """One row for each image."""
        return list(output)

    def encode_response(self, output: np.ndarray) -> Response:
        """Scores to bytes."""
        return Response(output.tobytes(), media_type="application/octet-stream")


def main() -> None:
    """Serves until SIGTERM."""
    options = read_options()
    api = Classifier(max_batch_size=options.batch, batch_timeout=options.wait_ms / 1e3)
    server = LitServer(api, accelerator="cpu", workers_per_device=options.workers, fast_queue=options.fast_queue)
    server.run(host="127.0.0.1", port=options.port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
