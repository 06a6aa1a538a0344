"""PyTriton: Triton Inference Server in front of a Python function, over the Open Inference Protocol's gRPC."""

from __future__ import annotations

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.peers.servers.options import SHAPE, read_options
from benchmarks.processes import free_port
from benchmarks.session import open_session


def main() -> None:
    """Serves until SIGTERM."""
    options = read_options()
    session = open_session(options.onnx_file)
    outputs = [session.get_outputs()[0].name]
    name = session.get_inputs()[0].name

    @batch
    def infer(**inputs: np.ndarray) -> list[np.ndarray]:
        return list(session.run(outputs, inputs))

    config = TritonConfig(
        grpc_address="127.0.0.1",
        grpc_port=options.port,
        http_address="127.0.0.1",
        http_port=free_port(),
        allow_metrics=False,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name=options.name,
            infer_func=infer,
            inputs=[Tensor(name=name, dtype=np.uint8, shape=SHAPE)],
            outputs=[Tensor(name=outputs[0], dtype=np.float32, shape=(-1,))],
            config=ModelConfig(
                max_batch_size=options.batch,
                batcher=DynamicBatcher(max_queue_delay_microseconds=int(options.wait_ms * 1000)),
            ),
        )
        triton.serve()


if __name__ == "__main__":
    main()
