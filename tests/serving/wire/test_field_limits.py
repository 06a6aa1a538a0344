from __future__ import annotations

import contextlib

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import PayloadTooLargeError
from serving.signatures import TensorSpec
from serving.wire.atelier_oip_pb2 import ModelInferRequest
from serving.wire.atelier_tfs_pb2 import Example, PredictRequest
from serving.wire.examples import decode_example
from serving.wire.field_limits import MAX_FIELDS, MAX_UNCOUNTED_BYTES, check_fields
from serving.wire.protobuf_fields import fields_of

REASON = "expected at most 4,096 fields in a message, received more"


def predict(inputs: int, content: bytes = b"") -> bytes:
    request = PredictRequest()
    request.model_spec.name = "model"
    for number in range(inputs):
        request.inputs[f"{number:030}"].tensor_content = content
    return request.SerializeToString()


def test_as_many_as_there_may_be_pass_and_one_more_is_refused() -> None:
    check_fields(predict(MAX_FIELDS - 1))
    with pytest.raises(PayloadTooLargeError, match=REASON):
        check_fields(predict(MAX_FIELDS))


def test_a_long_message_of_few_fields_passes() -> None:
    check_fields(predict(2, bytes(1_000_000)))


def test_fields_of_fields_are_counted_where_that_is_asked_for() -> None:
    request = ModelInferRequest(model_name="model")
    tensor = request.inputs.add(name="x", datatype="FP32")
    for number in range(MAX_FIELDS + 1):
        tensor.parameters[f"{number:030}"].bool_param = True
    check_fields(request.SerializeToString())
    with pytest.raises(PayloadTooLargeError, match=REASON):
        check_fields(request.SerializeToString(), {5})


def test_an_example_of_too_many_features_is_refused() -> None:
    example = Example()
    for number in range(MAX_FIELDS + 1):
        example.features.feature[f"{number:030}"].int64_list.value.append(1)
    with pytest.raises(PayloadTooLargeError, match=REASON):
        decode_example(example.SerializeToString(), TensorSpec("x", "int64", (None, 1)))


@given(st.binary(max_size=40), st.sampled_from([b"", b"\x0a\x05", b"\xff" * 12]))
def test_any_bytes_are_counted_or_left_to_the_parser(start: bytes, end: bytes) -> None:
    message = start + bytes(MAX_UNCOUNTED_BYTES) + end
    with contextlib.suppress(PayloadTooLargeError):
        check_fields(message, {1, 2, 5})


@given(st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=9)), max_size=5))
def test_what_is_walked_through_is_what_is_parsed(inputs: list[tuple[str, bytes]]) -> None:
    request = PredictRequest()
    request.model_spec.name = "model"
    for name, content in inputs:
        request.inputs[name].tensor_content = content
    message = request.SerializeToString()
    found = list(fields_of(message, 0, len(message)))
    assert [field.number for field in found].count(2) == len(request.inputs)
    assert found[-1].end == len(message)
    with contextlib.suppress(DecodeError):
        PredictRequest.FromString(message[:-1])
