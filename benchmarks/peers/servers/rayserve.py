"""Ray Serve: deployments behind an HTTP proxy, raw bytes in and out, batched by `serve.batch`."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.peers.servers.options import pixels_of, read_options
from benchmarks.session import open_session


@serve.deployment
class Classifier:
    """The ONNX model."""

    def __init__(self, onnx_file: Path, batch: int, wait_s: float) -> None:
        self._session = open_session(onnx_file)
        self._input = self._session.get_inputs()[0].name
        self._is_batching = batch > 1
        self._run_batch.set_max_batch_size(batch)
        self._run_batch.set_batch_wait_timeout_s(wait_s)

    async def __call__(self, request: Request) -> Response:
        """One request."""
        pixels = pixels_of(await request.body())
        scores = await self._run_batch(pixels) if self._is_batching else self._run(pixels)
        return Response(scores.tobytes(), media_type="application/octet-stream")

    @serve.batch
    async def _run_batch(self, batch: list[np.ndarray]) -> list[np.ndarray]:
        scores = self._run(np.concatenate(batch))
        return np.split(scores, np.cumsum([len(rows) for rows in batch])[:-1])

    def _run(self, pixels: np.ndarray) -> np.ndarray:
        return np.asarray(self._session.run(None, {self._input: pixels})[0])


def main() -> None:
    """Serves until SIGTERM."""
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        cores = max(2, options.workers)
        ray.init(include_dashboard=False, num_cpus=cores, log_to_driver=False, _temp_dir=folder)
        try:
            serve.start(http_options={"host": "127.0.0.1", "port": options.port})
            classifier: Any = Classifier  # the decorator's types are in Ray's environment
            deployment = classifier.options(num_replicas=options.workers, max_ongoing_requests=1000)
            serve.run(deployment.bind(options.onnx_file, options.batch, options.wait_ms / 1e3))
            signal.pause()
        finally:
            ray.shutdown()


if __name__ == "__main__":
    main()
