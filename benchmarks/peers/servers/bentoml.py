"""BentoML: a service that takes and gives arrays as JSON, batched adaptively."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import bentoml
import numpy as np

from benchmarks.peers.servers.options import read_options
from benchmarks.session import open_session

_VARIABLE = "BENCHMARK_OPTIONS"
_OPTIONS = json.loads(os.environ.get(_VARIABLE, '{"onnx_file": "", "batch": 1, "wait_ms": 0, "workers": 1}'))
"""BentoML imports this module in its own processes, and fixes batching by decorators: so they come by a variable."""


@bentoml.service(
    name="classifier", workers=_OPTIONS["workers"], metrics={"enabled": False}, logging={"access": {"enabled": False}}
)
class Classifier:
    """The ONNX model."""

    def __init__(self) -> None:
        self._session = open_session(Path(_OPTIONS["onnx_file"]))
        self._input = self._session.get_inputs()[0].name

    @bentoml.api(
        batchable=_OPTIONS["batch"] > 1,
        max_batch_size=max(2, _OPTIONS["batch"]),
        max_latency_ms=max(1, int(_OPTIONS["wait_ms"])),
    )
    async def predict(self, pixels: np.ndarray) -> np.ndarray:
        """One run."""
        return np.asarray(self._session.run(None, {self._input: pixels.astype(np.uint8)})[0])


def main() -> None:
    """Becomes `bentoml serve`."""
    options = read_options()
    known = {"onnx_file": str(options.onnx_file), "batch": options.batch, "wait_ms": options.wait_ms}
    os.environ[_VARIABLE] = json.dumps({**known, "workers": options.workers})
    place = ["--host", "127.0.0.1", "--port", str(options.port)]
    os.execv(  # noqa: S606 - BentoML starts by its command line
        sys.executable, [sys.executable, "-m", "bentoml", "serve", f"{__spec__.name}:Classifier", *place]
    )


if __name__ == "__main__":
    main()
