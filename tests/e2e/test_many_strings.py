"""Strings by the thousand in a `tensor_content`, which parsing leaves in one piece, keep nobody waiting."""

from __future__ import annotations

from pathlib import Path

import grpc
import psutil
import pytest
from onnx import TensorProto
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

from serving.wire.tensors import MAX_STRINGS_OF_CONTENT
from tests.support.gateway import running_gateway
from tests.support.onnx_models import write_identity_model
from tests.support.tfs import outputs, predict_request


@pytest.mark.parametrize("is_many", [True, False], ids=["many", "few"])
def test_many_strings_in_tensor_content_are_read_in_a_process_of_their_own(tmp_path: Path, is_many: bool) -> None:
    row = MAX_STRINGS_OF_CONTENT + is_many
    strings = [b"%d" % (number % 10) for number in range(row)]
    tensor = tensor_pb2.TensorProto(dtype=7, tensor_content=bytes([1] * row) + b"".join(strings))
    for size in (1, row):
        tensor.tensor_shape.dim.add(size=size)
    write_identity_model(tmp_path / "words" / "1", TensorProto.STRING, ["N", row])

    with running_gateway(tmp_path) as gateway, grpc.insecure_channel(gateway.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = outputs(stub.Predict(predict_request("words", x=tensor), timeout=60.0))
        assert answer["y"].tolist() == [strings]
        (worker,) = gateway.process.worker_pids
        assert len(psutil.Process(worker).children()) == is_many
