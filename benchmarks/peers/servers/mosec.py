"""Mosec: a Rust front end that takes requests over HTTP, and batches them for Python processes."""

from __future__ import annotations

import numpy as np
from mosec import Server, Worker

from benchmarks.peers.servers.options import pixels_of, read_options
from benchmarks.session import open_session


class Classifier(Worker):
    """Raw bytes in and out; with batching, `forward` takes and gives lists."""

    resp_mime_type = "application/octet-stream"

    def __init__(self) -> None:
        super().__init__()
        self._session = open_session(read_options().onnx_file)
        self._input = self._session.get_inputs()[0].name

    def deserialize(self, data: bytes) -> np.ndarray:
        """Bytes to pixels."""
        return pixels_of(data)

    def serialize(self, data: np.ndarray) -> bytes:
        """Scores to bytes."""
        return data.tobytes()

    def forward(self, data: np.ndarray | list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
        """One run for all."""
        if not isinstance(data, list):
            return self._run(data)
        scores = self._run(np.concatenate(data))
        return np.split(scores, np.cumsum([len(rows) for rows in data])[:-1])

    def _run(self, pixels: np.ndarray) -> np.ndarray:
        return np.asarray(self._session.run(None, {self._input: pixels})[0])


def main() -> None:
    """Serves; Mosec reads `--port` and its address itself."""
    options = read_options()
    server = Server()
    wait_ms = int(options.wait_ms) if options.batch > 1 else 0
    server.append_worker(Classifier, num=options.workers, max_batch_size=options.batch, max_wait_time=wait_ms)
    server.run()


if __name__ == "__main__":
    main()
