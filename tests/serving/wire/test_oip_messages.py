"""Our messages against those of Triton's client, in both directions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

from serving.signatures import DTYPES, DType, TensorSpec
from serving.wire import atelier_oip_pb2 as ours
from serving.wire.oip_parameters import parameters_of
from serving.wire.oip_tensors import TYPED_FIELD, decode_contents, decode_raw, encode_contents, encode_raw
from serving.wire.services import DECLARED_AS_BYTES
from tests.support.arrays import arrays
from tests.support.oip import as_triton_has

EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES.values(), ids=list(DTYPES))
OFFICIAL = {
    **service_pb2.DESCRIPTOR.message_types_by_name,
    **model_config_pb2.DESCRIPTOR.message_types_by_name,
    **{nested.name: nested for nested in service_pb2.ModelInferRequest.DESCRIPTOR.nested_types},
    **{nested.name: nested for nested in service_pb2.ModelMetadataResponse.DESCRIPTOR.nested_types},
    "InferTensor": service_pb2.ModelInferRequest.InferInputTensor.DESCRIPTOR,
    "ModelRequest": service_pb2.ModelReadyRequest.DESCRIPTOR,
    "ServerRequest": service_pb2.ServerLiveRequest.DESCRIPTOR,
    "UnpackedTensorContents": service_pb2.InferTensorContents.DESCRIPTOR,
}


def same(left: np.ndarray, right: np.ndarray) -> bool:
    if left.dtype == object:
        return left.shape == right.shape and left.tolist() == right.tolist()
    return (left.shape, left.dtype, left.tobytes()) == (right.shape, right.dtype, right.tobytes())


@pytest.mark.parametrize("name", ours.DESCRIPTOR.message_types_by_name)
def test_every_field_has_the_official_number_and_type(name: str) -> None:
    official = OFFICIAL[name].fields_by_name
    for field in ours.DESCRIPTOR.message_types_by_name[name].fields:
        expected = official[field.name]
        number_type = DECLARED_AS_BYTES.get(field.full_name, field.type)
        assert (field.number, number_type, field.is_repeated) == (expected.number, expected.type, expected.is_repeated)


def test_datatypes_of_the_configuration_have_the_official_numbers() -> None:
    assert dict(ours.DataType.items()) == dict(model_config_pb2.DataType.items())


@EVERY_DTYPE
def test_names_of_datatypes_are_tritons(dtype: DType) -> None:
    if dtype.oip != "BF16":  # for which Triton's clients have float32
        assert np_to_triton_dtype(dtype.numpy) == dtype.oip
    assert np.dtype(triton_to_np_dtype(dtype.oip)) == as_triton_has(np.zeros(1, dtype.numpy)).dtype


@EVERY_DTYPE
@given(data=st.data())
def test_what_tritons_client_writes_is_read(dtype: DType, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype, min_dims=1))
    written = triton.InferInput("x", array.shape, dtype.oip)
    written.set_data_from_numpy(as_triton_has(array))
    official = service_pb2.ModelInferRequest(
        model_name="m", inputs=[written._get_tensor()], raw_input_contents=[written._get_content()]
    )
    received = ours.ModelInferRequest.FromString(official.SerializeToString())
    (tensor,) = received.inputs
    shape = tuple(tensor.shape)

    assert (tensor.name, tensor.datatype, shape) == ("x", dtype.oip, array.shape)
    assert same(decode_raw(received.raw_input_contents[0], TensorSpec("x", dtype.name, shape), shape), array)


@EVERY_DTYPE
@given(data=st.data())
def test_what_is_written_raw_tritons_client_reads(dtype: DType, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype, min_dims=1))
    response = ours.ModelInferResponse(model_name="m", raw_output_contents=[encode_raw(array)])
    response.outputs.add(name="y", datatype=dtype.oip, shape=array.shape)
    official = service_pb2.ModelInferResponse.FromString(response.SerializeToString())

    assert same(triton.InferResult(official).as_numpy("y"), as_triton_has(array))


@pytest.mark.parametrize("name", TYPED_FIELD)
@given(data=st.data())
def test_typed_contents_are_the_same_numbers_both_ways(name: str, data: st.DataObject) -> None:
    dtype = DTYPES[name]
    array = data.draw(arrays(dtype, min_dims=1))
    official = service_pb2.InferTensorContents(**{TYPED_FIELD[name]: array.ravel().tolist()})
    received = ours.InferTensorContents.FromString(official.SerializeToString())
    written = ours.InferTensorContents()
    encode_contents(written, array, dtype)

    assert same(decode_contents(received, TensorSpec("x", name, array.shape), array.shape), array)
    # NaN is no equal of itself, so the bytes are compared.
    assert (
        service_pb2.InferTensorContents.FromString(written.SerializeToString()).SerializeToString()
        == official.SerializeToString()
    )


PARAMETER = st.one_of(
    st.builds(lambda value: {"bool_param": value}, st.booleans()),
    st.builds(lambda value: {"int64_param": value}, st.integers(-(2**63), 2**63 - 1)),
    st.builds(lambda value: {"uint64_param": value}, st.integers(0, 2**64 - 1)),
    st.builds(lambda value: {"double_param": value}, st.floats(allow_nan=False)),
    st.builds(lambda value: {"string_param": value}, st.text(max_size=5)),
)
PARAMETERS = st.dictionaries(st.text(max_size=5), PARAMETER, max_size=3)
TENSOR = st.fixed_dictionaries(
    {
        "name": st.text(max_size=5),
        "datatype": st.sampled_from(["FP32", "BYTES"]),
        "shape": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
        "parameters": PARAMETERS,
    }
)
REQUEST = st.fixed_dictionaries(
    {
        "model_name": st.text(max_size=5),
        "model_version": st.text(max_size=5),
        "id": st.text(max_size=5),
        "parameters": PARAMETERS,
        "inputs": st.lists(TENSOR, max_size=2),
        "outputs": st.lists(st.fixed_dictionaries({"name": st.text(max_size=5), "parameters": PARAMETERS}), max_size=2),
        "raw_input_contents": st.lists(st.binary(max_size=5), max_size=2),
    }
)


@given(fields=REQUEST)
def test_a_request_keeps_every_field_both_ways(fields: dict[str, Any]) -> None:
    official = service_pb2.ModelInferRequest(**fields)
    received = ours.ModelInferRequest.FromString(official.SerializeToString())

    assert as_dict(received) == as_dict(official)
    assert service_pb2.ModelInferRequest.FromString(received.SerializeToString()) == official


def test_parameters_are_plain_values() -> None:
    official = service_pb2.ModelInferRequest()
    official.parameters["flag"].bool_param = False
    official.parameters["count"].int64_param = -3
    official.parameters["word"].string_param = "blue"
    official.parameters["share"].double_param = 0.5
    official.parameters["empty"].SetInParent()
    received = ours.ModelInferRequest.FromString(official.SerializeToString())

    assert parameters_of(received.parameters) == {
        "flag": False,
        "count": -3,
        "word": "blue",
        "share": 0.5,
        "empty": None,
    }


def as_dict(message: Message) -> Any:
    return json.loads(json_format.MessageToJson(message, preserving_proto_field_name=True))
