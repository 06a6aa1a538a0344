"""Predict, asked by TensorFlow Serving's own client."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.support.onnx_models import expected_scores
from tests.support.tfs import failure, outputs, predict_request

Stub = prediction_service_pb2_grpc.PredictionServiceStub
PIXELS = np.array([[[10, 20], [30, 40]], [[1, 2], [3, 4]]], np.uint8)


def test_predict_answers_each_row_with_the_newest_version(stub: Stub) -> None:
    response = stub.Predict(predict_request("brightness", pixels=PIXELS), timeout=60.0)
    np.testing.assert_array_equal(outputs(response)["scores"], expected_scores(PIXELS, scale=4.0))
    assert response.model_spec.name == "brightness"
    assert response.model_spec.version.value == 4
    assert response.model_spec.signature_name == "serving_default"


def test_scores_travel_in_float_val_as_tensorflow_serving_sends_them(stub: Stub) -> None:
    tensor = stub.Predict(predict_request("brightness", pixels=PIXELS), timeout=60.0).outputs["scores"]
    assert tensor.dtype == tf.float32.as_datatype_enum
    assert len(tensor.float_val) == 6
    assert not tensor.tensor_content


def test_pixels_may_travel_as_int_val_too(stub: Stub) -> None:
    tensor = tf.make_tensor_proto(PIXELS)
    tensor.ClearField("tensor_content")
    tensor.int_val.extend(PIXELS.ravel().tolist())
    response = stub.Predict(predict_request("brightness", pixels=tensor), timeout=60.0)
    np.testing.assert_array_equal(outputs(response)["scores"], expected_scores(PIXELS, scale=4.0))


def test_several_inputs_and_outputs_keep_their_names(stub: Stub) -> None:
    request = predict_request("pair", a=np.float32([5, 7]), b=np.float32([2, 10]))
    answer = outputs(stub.Predict(request, timeout=60.0))
    assert answer["sum"].tolist() == [7, 17]
    assert answer["difference"].tolist() == [3, -3]


def test_the_output_filter_leaves_only_what_was_asked_for(stub: Stub) -> None:
    request = predict_request("pair", a=np.float32([5]), b=np.float32([2]))
    request.output_filter.append("sum")
    assert list(outputs(stub.Predict(request, timeout=60.0))) == ["sum"]


def test_strings_pass_unchanged(stub: Stub) -> None:
    answer = outputs(stub.Predict(predict_request("text", x=np.array([b"a", b"\xc3\xbc"])), timeout=60.0))
    assert answer["y"].tolist() == [b"a", b"\xc3\xbc"]


SPEC_FAILURES = {
    "an unknown model": (
        predict_request("nobody", pixels=PIXELS),
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Latest(nobody)",
    ),
    "a version that is not loaded": (
        predict_request("brightness", version=3, pixels=PIXELS),
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(brightness, 3)",
    ),
    "no model spec": (predict_pb2.PredictRequest(), grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec"),
    "no name": (
        predict_request("", pixels=PIXELS),
        grpc.StatusCode.INVALID_ARGUMENT,
        "ModelSpec has no name specified.",
    ),
    "an unknown signature": (
        predict_request("brightness", signature="other", pixels=PIXELS),
        grpc.StatusCode.FAILED_PRECONDITION,
        'Serving signature key "other" not found.',
    ),
    "a missing input": (
        predict_request("pair", a=np.float32([1])),
        grpc.StatusCode.INVALID_ARGUMENT,
        "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}.",
    ),
    "an extra input": (
        predict_request("brightness", pixels=PIXELS, mask=PIXELS),
        grpc.StatusCode.INVALID_ARGUMENT,
        (
            "input size does not match signature: 2!=1 len({mask,pixels}) != len({pixels}). "
            "Sent extra: {mask}. Missing but required: {}."
        ),
    ),
    "a wrong dtype": (
        predict_request("brightness", pixels=PIXELS.astype(np.float32)),
        grpc.StatusCode.INVALID_ARGUMENT,
        'input "pixels": expected dtype uint8, received float32',
    ),
    "a wrong shape": (
        predict_request("brightness", pixels=np.zeros((1, 3, 2), np.uint8)),
        grpc.StatusCode.INVALID_ARGUMENT,
        'input "pixels": expected shape [?, 2, 2], received [1, 3, 2]',
    ),
    "different numbers of rows": (
        predict_request("pair", a=np.float32([1, 2]), b=np.float32([1])),
        grpc.StatusCode.INVALID_ARGUMENT,
        "expected the same number of rows in every input, received a: 2, b: 1",
    ),
    "no rows": (
        predict_request("brightness", pixels=np.zeros((0, 2, 2), np.uint8)),
        grpc.StatusCode.INVALID_ARGUMENT,
        "expected at least one row, received none",
    ),
}


@pytest.mark.parametrize("case", SPEC_FAILURES)
def test_predict_refuses(case: str, stub: Stub) -> None:
    request, code, text = SPEC_FAILURES[case]
    assert failure(stub.Predict, request) == (code, text)


def test_predict_refuses_an_unknown_label(stub: Stub) -> None:
    request = predict_request("brightness", pixels=PIXELS)
    request.model_spec.version_label = "canary"
    assert failure(stub.Predict, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "Unrecognized servable version label: canary",
    )


def test_predict_refuses_an_unknown_output_filter(stub: Stub) -> None:
    request = predict_request("pair", a=np.float32([1]), b=np.float32([1]))
    request.output_filter.append("product")
    code, text = failure(stub.Predict, request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text.startswith("output tensor alias not found in signature: product")


def test_a_broken_message_is_refused_and_the_gateway_goes_on(channel: grpc.Channel, stub: Stub) -> None:
    raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    code, text = failure(raw, b"\xff\xff\xff\xff")
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text == "the message is not a valid protobuf of the method's request type"
    assert stub.Predict(predict_request("brightness", pixels=PIXELS), timeout=60.0)


def test_strings_that_are_not_utf8_are_refused_before_they_could_be_garbled(stub: Stub) -> None:
    code, text = failure(stub.Predict, predict_request("text", x=np.array([b"\xff\xfe"])))
    assert (code, text) == (grpc.StatusCode.INVALID_ARGUMENT, 'input "x": expected UTF-8 strings, received other bytes')
