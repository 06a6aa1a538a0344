"""An ONNX model that pretends to be a SavedModel: it loads in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo

_NUMBERS = {
    "tensor(float)": DataType.DT_FLOAT,
    "tensor(double)": DataType.DT_DOUBLE,
    "tensor(uint8)": DataType.DT_UINT8,
    "tensor(int32)": DataType.DT_INT32,
    "tensor(int64)": DataType.DT_INT64,
    "tensor(string)": DataType.DT_STRING,
}


class OnnxVersion:
    """Its only signature is `serving_default`."""

    is_quick = True

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        signature = SignatureDef(method_name="tensorflow/serving/predict")
        for infos, nodes in (
            (signature.inputs, self._session.get_inputs()),
            (signature.outputs, self._session.get_outputs()),
        ):
            for node in nodes:
                info = TensorInfo(name=f"{node.name}:0", dtype=_NUMBERS[node.type])
                for size in node.shape:
                    info.tensor_shape.dim.add(size=size if isinstance(size, int) else -1)
                infos[node.name].CopyFrom(info)
        self.signatures = {"serving_default": signature}

    def run(self, signature_name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One run of the session."""
        names = sorted(self.signatures[signature_name].outputs)
        return dict(zip(names, self._session.run(names, inputs), strict=True))
