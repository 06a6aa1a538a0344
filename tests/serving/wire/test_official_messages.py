"""Our messages against TensorFlow's and TensorFlow Serving's own, in both directions."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from serving.repository.transition import State
from serving.signatures import TENSORFLOW_DTYPES, DType, Signature, TensorSpec
from serving.wire import atelier_tfs_pb2 as ours
from serving.wire.tensors import decode_tensor, encode_content, encode_tensor, encode_tensor_info
from tests.support.arrays import arrays
from tests.support.wire_forms import BYTES, field, tensor_head, unpacked_doubles, unpacked_floats, varint

EVERY_DTYPE = pytest.mark.parametrize("dtype", TENSORFLOW_DTYPES.values(), ids=list(TENSORFLOW_DTYPES))
WITHOUT_PYTHON = ("float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz")
"""`tf.make_tensor_proto` and `tf.make_ndarray` do not know their field; `tf.io.parse_tensor`, which is C++, does."""
DTYPE_OF_PYTHON = pytest.mark.parametrize(
    "dtype", [dtype for name, dtype in TENSORFLOW_DTYPES.items() if name not in WITHOUT_PYTHON], ids=lambda d: d.name
)


def same(left: np.ndarray, right: np.ndarray) -> bool:
    if left.dtype == object:
        return left.shape == right.shape and left.tolist() == right.tolist()
    return (left.shape, left.dtype, bits(left)) == (right.shape, right.dtype, bits(right))


def bits(array: np.ndarray) -> bytes:
    """As they lie in memory, but for the bits that 4-bit and 2-bit integers leave there: those mean nothing."""
    return (array.astype(np.int8) if array.dtype.name in {"int4", "uint4", "int2", "uint2"} else array).tobytes()


def plain(array: np.ndarray) -> np.ndarray:
    """Quantized integers, which TensorFlow's numpy dtypes hold in a field that is named like them, without it."""
    return array.view(array.dtype[0]) if array.dtype.names else array


def decode(message: Message, dtype: DType, shape: tuple[int, ...]) -> np.ndarray:
    received = ours.Tensor.FromString(message.SerializeToString())
    return decode_tensor(received, TensorSpec("x", dtype.name, shape), max_bytes=10_000)


@EVERY_DTYPE
def test_numbers_and_names_of_dtypes_are_tensorflows(dtype: DType) -> None:
    official = tf.dtypes.as_dtype(dtype.name)

    assert official.as_datatype_enum == dtype.tensorflow
    assert types_pb2.DataType.Name(dtype.tensorflow) == dtype.tensorflow_name
    assert plain(np.zeros(0, official.as_numpy_dtype)).dtype == dtype.numpy
    assert ours.DataType.Name(dtype.tensorflow) == dtype.tensorflow_name


@DTYPE_OF_PYTHON
@settings(deadline=None)
@given(data=st.data())
def test_what_make_tensor_proto_writes_is_read(dtype: DType, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype))
    official = tf.make_tensor_proto(array, dtype=dtype.name, shape=array.shape)

    assert same(decode(official, dtype, array.shape), array)


@DTYPE_OF_PYTHON
@settings(deadline=None)
@given(data=st.data())
def test_what_is_written_make_ndarray_reads_from_the_typed_field(dtype: DType, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype))
    written = ours.Tensor()
    encode_tensor(written, array, dtype)
    official = tensor_pb2.TensorProto.FromString(written.SerializeToString())

    assert official.tensor_content == b""
    assert same(plain(tf.make_ndarray(official)), array)


@EVERY_DTYPE
@settings(deadline=None)
@given(data=st.data())
def test_what_tensorflow_itself_parses_is_the_same(dtype: DType, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype))
    written = ours.Tensor()
    encode_tensor(written, array, dtype)
    parsed = tf.io.parse_tensor(written.SerializeToString(), dtype.name).numpy()

    assert same(np.asarray(parsed, dtype.numpy), array)


@pytest.mark.parametrize(
    "dtype", [dtype for dtype in TENSORFLOW_DTYPES.values() if not dtype.is_string], ids=lambda d: d.name
)
def test_raw_content_is_read_by_tensorflow(dtype: DType) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype.numpy)
    written = ours.Tensor()
    encode_content(written, array, dtype)

    assert same(tf.io.parse_tensor(written.SerializeToString(), dtype.name).numpy(), array)


@EVERY_DTYPE
@pytest.mark.parametrize("values", [0, 1, 2])
def test_short_lists_are_filled_up_as_tensorflow_does(dtype: DType, values: int) -> None:
    content = [b"a", b"bc"] if dtype.is_string else [1, 0]
    written = ours.Tensor()
    encode_tensor(written, np.array(content[:values], dtype.numpy), dtype)
    written.tensor_shape.dim[0].size = 4
    by_tensorflow = tf.io.parse_tensor(written.SerializeToString(), dtype.name).numpy()

    assert same(decode(written, dtype, (4,)), np.asarray(by_tensorflow, dtype.numpy))


@pytest.mark.parametrize(
    ("dtype", "content"),
    [
        ("float32", unpacked_floats(5, [1.5, -0.0, float("inf")])),
        ("float64", unpacked_doubles(6, [0.1, 1e300, -1])),
        ("complex64", unpacked_floats(9, [1.5, -0.0, float("inf"), 0, 1, 2])),
        ("complex128", unpacked_doubles(12, [0.1, 1e300, -1, 0, 2, 3])),
        ("float32", field(5, BYTES, np.float32([1, 2]).tobytes()) + field(5, BYTES, np.float32([3]).tobytes())),
        ("int64", field(10, BYTES, varint(-1) + varint(2**62)) + field(10, 0, varint(3))),
        ("bool", field(11, BYTES, b"\x01\x00\x01")),
    ],
)
def test_unusual_encodings_are_read_as_the_official_class_reads_them(dtype: str, content: bytes) -> None:
    official = tensor_pb2.TensorProto.FromString(tensor_head(TENSORFLOW_DTYPES[dtype].tensorflow, [3]) + content)
    received = ours.Tensor.FromString(tensor_head(TENSORFLOW_DTYPES[dtype].tensorflow, [3]) + content)
    decoded = decode_tensor(received, TensorSpec("x", dtype, (None,)), max_bytes=1000)

    assert same(decoded, tf.make_ndarray(official))


def test_a_predict_request_is_read_with_all_it_says() -> None:
    official = predict_pb2.PredictRequest(output_filter=["scores", "classes"])
    official.model_spec.name = "digits"
    official.model_spec.version.value = 2**53 + 1
    official.model_spec.signature_name = "image_bytes"
    official.inputs["pixels"].CopyFrom(tf.make_tensor_proto(np.zeros((2, 3), np.uint8)))
    received = ours.PredictRequest.FromString(official.SerializeToString())

    assert (received.model_spec.name, received.model_spec.version.value) == ("digits", 2**53 + 1)
    assert received.model_spec.WhichOneof("version_choice") == "version"
    assert received.model_spec.signature_name == "image_bytes"
    assert list(received.output_filter) == ["scores", "classes"]
    assert [dim.size for dim in received.inputs["pixels"].tensor_shape.dim] == [2, 3]


def test_a_version_label_excludes_a_version() -> None:
    official = predict_pb2.PredictRequest()
    official.model_spec.version_label = "canary"
    received = ours.PredictRequest.FromString(official.SerializeToString())

    assert received.model_spec.WhichOneof("version_choice") == "version_label"
    assert received.model_spec.version_label == "canary"


def test_our_predict_request_is_one_for_tensorflow_serving() -> None:
    sent = ours.PredictRequest(output_filter=["scores"])
    sent.model_spec.name = "digits"
    sent.model_spec.version_label = "stable"
    encode_content(sent.inputs["pixels"], np.arange(6, dtype=np.uint8).reshape(2, 3), TENSORFLOW_DTYPES["uint8"])
    official = predict_pb2.PredictRequest.FromString(sent.SerializeToString())

    assert (official.model_spec.name, official.model_spec.version_label) == ("digits", "stable")
    assert tf.make_ndarray(official.inputs["pixels"]).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert list(official.output_filter) == ["scores"]


def test_a_predict_response_is_read_by_the_official_client_and_says_nothing_more() -> None:
    answer = ours.PredictResponse()
    answer.model_spec.name = "digits"
    answer.model_spec.version.value = 3
    answer.model_spec.signature_name = "serving_default"
    encode_tensor(answer.outputs["scores"], np.float32([[0.25, 0.75]]), TENSORFLOW_DTYPES["float32"])
    official = predict_pb2.PredictResponse.FromString(answer.SerializeToString())
    by_hand = predict_pb2.PredictResponse()
    by_hand.model_spec.name = "digits"
    by_hand.model_spec.version.value = 3
    by_hand.model_spec.signature_name = "serving_default"
    scores = by_hand.outputs["scores"]
    scores.dtype = types_pb2.DT_FLOAT
    scores.tensor_shape.dim.add(size=1)
    scores.tensor_shape.dim.add(size=2)
    scores.float_val.extend([0.25, 0.75])

    assert official == by_hand


def test_metadata_is_the_official_signature_map_in_an_any() -> None:
    signature = Signature(
        (TensorSpec("pixels", "uint8", (None, 28, 28)),), (TensorSpec("scores", "float32", (None, 10)),)
    )
    signatures = ours.SignatureDefMap()
    entry = signatures.signature_def["serving_default"]
    entry.method_name = signature.method
    encode_tensor_info(entry.inputs["pixels"], signature.inputs[0])
    encode_tensor_info(entry.outputs["scores"], signature.outputs[0])
    answer = ours.GetModelMetadataResponse()
    answer.metadata["signature_def"].type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    answer.metadata["signature_def"].value = signatures.SerializeToString()
    official = get_model_metadata_pb2.GetModelMetadataResponse.FromString(answer.SerializeToString())
    unpacked = get_model_metadata_pb2.SignatureDefMap()

    assert official.metadata["signature_def"].Unpack(unpacked)
    found = unpacked.signature_def["serving_default"]
    assert found.method_name == tf.compat.v1.saved_model.signature_constants.PREDICT_METHOD_NAME
    assert tf.TensorShape(found.inputs["pixels"].tensor_shape).as_list() == [None, 28, 28]
    assert (found.inputs["pixels"].dtype, found.outputs["scores"].dtype) == (types_pb2.DT_UINT8, types_pb2.DT_FLOAT)


def test_a_metadata_request_is_read() -> None:
    official = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    official.model_spec.name = "digits"
    received = ours.GetModelMetadataRequest.FromString(official.SerializeToString())

    assert (received.model_spec.name, list(received.metadata_field)) == ("digits", ["signature_def"])


@pytest.mark.parametrize("state", State)
def test_a_status_is_read_with_the_official_numbers_of_states(state: State) -> None:
    answer = ours.GetModelStatusResponse()
    entry = answer.model_version_status.add(version=7, state=state)
    entry.status.error_code = error_codes_pb2.UNKNOWN
    entry.status.error_message = "broken"
    (found,) = get_model_status_pb2.GetModelStatusResponse.FromString(answer.SerializeToString()).model_version_status

    assert get_model_status_pb2.ModelVersionStatus.State.Name(found.state) == state.name
    assert (found.version, found.status.error_code, found.status.error_message) == (7, 2, "broken")
