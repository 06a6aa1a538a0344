"""Requests and answers as TensorFlow Serving's own messages read and write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from serving.backends.tfserving.messages import (
    PredictCodec,
    VersionState,
    decode_signatures,
    decode_statuses,
    decode_version,
    merge_statuses,
    metadata_request,
    status_request,
)
from serving.errors import BundleError, InferenceError
from serving.signatures import TENSORFLOW_DTYPES, Signature, TensorSpec

AVAILABLE, LOADING, END = 30, 20, 50


def codec(dtype: str, shape: tuple[int | None, ...] = (None, 2)) -> PredictCodec:
    signature = Signature((TensorSpec("x", dtype, shape),), (TensorSpec("y", dtype, shape),))
    return PredictCodec("model", 7, "doubled", signature)


def values(dtype: str) -> np.ndarray:
    if dtype == "string":
        array = np.empty((2, 2), dtype=object)
        array[:] = [[b"a", b""], [b"\xff\0", b"b"]]
        return array
    array = np.array([[0, 1], [1, 1]], TENSORFLOW_DTYPES[dtype].numpy)
    return array * np.array(2 - 3j, array.dtype) if array.dtype.kind == "c" else array


@pytest.mark.parametrize("dtype", TENSORFLOW_DTYPES)
def test_the_official_message_reads_what_is_sent(dtype: str) -> None:
    sent = values(dtype)
    request = predict_pb2.PredictRequest.FromString(codec(dtype).encode({"x": sent}))

    spec = request.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("model", 7, "doubled")
    received = tf.make_ndarray(request.inputs["x"])
    if received.dtype.names:  # of quantized integers, a field that is named like them
        received = received.view(received.dtype[0])
    assert (received.dtype, received.tolist()) == (sent.dtype, sent.tolist())


@pytest.mark.parametrize("in_fields", [True, False], ids=["typed fields", "raw content"])
@pytest.mark.parametrize("dtype", TENSORFLOW_DTYPES)
def test_an_answer_of_the_official_message_is_read(dtype: str, in_fields: bool) -> None:
    answer = predict_pb2.PredictResponse()
    answer.outputs["y"].CopyFrom(tf.make_tensor_proto(values(dtype), dtype))
    if in_fields and answer.outputs["y"].tensor_content:
        answer.outputs["y"].CopyFrom(_typed(values(dtype), TENSORFLOW_DTYPES[dtype].tensorflow))
    received = codec(dtype).decode(answer.SerializeToString())["y"]
    assert (received.dtype, received.tolist()) == (values(dtype).dtype, values(dtype).tolist())


def _typed(array: np.ndarray, number: int) -> Any:
    proto = tf.make_tensor_proto(0)
    proto.Clear()
    proto.dtype = number
    proto.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
    fields = {1: "float_val", 2: "double_val", 9: "int64_val", 10: "bool_val", 22: "uint32_val", 23: "uint64_val"}
    if number in {14, 19}:
        proto.half_val.extend(array.view(np.uint16).ravel().tolist())
    elif number in {8, 18}:
        pairs = array.view(array.real.dtype).ravel().tolist()
        (proto.scomplex_val if number == 8 else proto.dcomplex_val).extend(pairs)
    elif tf.as_dtype(number).name.startswith(("float8", "float4")):
        proto.float8_val = array.tobytes()
    else:
        getattr(proto, fields.get(number, "int_val")).extend(array.ravel().tolist())
    return proto


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"\xff", "Error parsing message"),
        (b"", 'output "y" is missing'),
        (lambda: {"y": np.zeros((2, 2), np.int64)}, "expected dtype float32, received int64"),
        (lambda: {"y": np.zeros((2, 3), np.float32)}, r"expected shape \[\?, 2\], received \[2, 3\]"),
    ],
    ids=["no message", "no such output", "another dtype", "another shape"],
)
def test_an_answer_that_does_not_fit_is_the_servers_failure(answer: Any, problem: str) -> None:
    if callable(answer):
        message = predict_pb2.PredictResponse()
        for name, array in answer().items():
            message.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        answer = message.SerializeToString()
    with pytest.raises(InferenceError, match=problem):
        codec("float32").decode(answer)


def metadata(**signatures: SignatureDef) -> bytes:
    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    answer.model_spec.version.value = 9
    answer.metadata["signature_def"].Pack(get_model_metadata_pb2.SignatureDefMap(signature_def=signatures))
    return answer.SerializeToString()


def signature_def(*, sparse: bool = False) -> SignatureDef:
    entry = SignatureDef(method_name="tensorflow/serving/predict")
    info = entry.inputs["x"]
    info.dtype = 1
    info.tensor_shape.CopyFrom(tf.TensorShape([None, 2]).as_proto())
    if sparse:
        info.coo_sparse.values_tensor_name = "values:0"
    else:
        info.name = "x:0"
    entry.outputs["any"].name = "y:0"
    entry.outputs["any"].dtype = 7
    entry.outputs["any"].tensor_shape.unknown_rank = True
    entry.outputs["count"].name = "count:0"
    entry.outputs["count"].dtype = 3
    return entry


def test_signatures_are_read_with_free_sizes_scalars_and_unknown_ranks() -> None:
    answer = metadata(serving_default=signature_def(), sparse=signature_def(sparse=True))
    assert decode_signatures(answer) == {
        "serving_default": Signature(
            (TensorSpec("x", "float32", (None, 2)),),
            (TensorSpec("any", "string", (), any_rank=True), TensorSpec("count", "int32", ())),
        )
    }
    assert decode_version(answer) == 9


def test_a_model_that_no_array_can_answer_is_refused() -> None:
    with pytest.raises(BundleError, match="no signature of dense tensors"):
        decode_signatures(metadata(sparse=signature_def(sparse=True)))


def test_statuses_are_read_and_a_version_answers_where_any_server_has_it() -> None:
    answer = get_model_status_pb2.GetModelStatusResponse()
    answer.model_version_status.add(version=4, state=LOADING)
    broken = answer.model_version_status.add(version=3, state=END)
    broken.status.error_code, broken.status.error_message = 2, "no variables"
    first = decode_statuses(answer.SerializeToString())

    assert first == {4: VersionState(LOADING, None), 3: VersionState(END, "no variables")}
    assert merge_statuses([first, {4: VersionState(AVAILABLE, None)}])[4].is_available
    assert merge_statuses([{4: VersionState(AVAILABLE, None)}, first])[4].is_available


def test_requests_for_metadata_and_status_name_what_they_are_about() -> None:
    by_version = get_model_metadata_pb2.GetModelMetadataRequest.FromString(metadata_request("m", version=3))
    by_label = get_model_metadata_pb2.GetModelMetadataRequest.FromString(metadata_request("m", label="stable"))
    status = get_model_status_pb2.GetModelStatusRequest.FromString(status_request("m"))

    assert (by_version.model_spec.version.value, list(by_version.metadata_field)) == (3, ["signature_def"])
    assert by_label.model_spec.version_label == "stable"
    assert (status.model_spec.name, status.model_spec.HasField("version")) == ("m", False)
