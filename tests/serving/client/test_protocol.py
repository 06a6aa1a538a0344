"""What the client sends and makes of what comes back, without a connection."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.client.choice import Choice
from serving.client.failures import ForeignAnswerError
from serving.client.protocol import Reply, ask_classes, ask_inference, read_inference
from serving.client.retries import is_temporary, pause_s
from serving.client.tensors import convert, decode, encode
from serving.errors import (
    InferenceError,
    InvalidInputError,
    ModelNotFoundError,
    OverloadedError,
    ServingError,
    UnavailableError,
)
from serving.signatures import DTYPES, Signature, TensorSpec
from serving.wire.oip_answers import Answer
from serving.wire.oip_json import decode_inputs, encode_answer, parse_infer_body

NUMERIC = [dtype for dtype in DTYPES.values() if not dtype.is_string and dtype.numpy.kind in "biuf"]


def reply(status: int, content: bytes = b'{"error": "why"}', **headers: str) -> Reply:
    return Reply(
        "http://gateway/x", status, {name.replace("_", "-"): value for name, value in headers.items()}, content
    )


@pytest.mark.parametrize("dtype", NUMERIC, ids=lambda dtype: dtype.name)
@given(data=st.data())
def test_arrays_arrive_as_they_were_sent_and_come_back_so(dtype: object, data: st.DataObject) -> None:
    element = DTYPES[str(dtype.name)]  # type: ignore[attr-defined]
    array = data.draw(arrays.arrays(element.numpy, arrays.array_shapes(max_dims=3, max_side=4)))
    spec = TensorSpec("x", element.name, (None,) * array.ndim)
    question = ask_inference(Choice.of("m", 3), {"x": array}, "serving_default", 1.5)
    assert question.path == "/v2/models/m/versions/3/infer"
    assert question.content is not None
    length = int(question.headers["inference-header-content-length"])
    body = parse_infer_body(question.content, length)
    assert body.parameters["timeout"] == 1_500_000
    received = decode_inputs(body, Signature((spec,), (spec,)))["x"]
    np.testing.assert_array_equal(received, array)

    content, header_bytes = encode_answer({"x": array}, Answer("m", 3, None, [spec], {}, ()), {"x": True})
    answer = read_inference(reply(200, content, inference_header_content_length=str(header_bytes)))
    assert (answer.model, answer.version, answer.output.dtype) == ("m", 3, element.numpy)
    np.testing.assert_array_equal(answer.output, array)


@given(arrays.arrays(object, arrays.array_shapes(max_dims=2, max_side=3), elements=st.binary(max_size=5)))
def test_strings_come_back_as_they_were_sent(array: np.ndarray) -> None:
    datatype, content = encode("x", array)
    np.testing.assert_array_equal(decode(datatype, array.shape, content), array)


def test_a_big_endian_array_is_sent_as_its_numbers() -> None:
    assert encode("x", np.array([1, 2], ">i4")) == ("INT32", np.array([1, 2], "<i4").tobytes())


@pytest.mark.parametrize("array", [np.array([1j]), np.array(["2026"], "datetime64[Y]"), np.array([None])])
def test_what_no_model_takes_is_refused_before_it_is_sent(array: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match=r'^input "x": expected '):
        encode("x", array)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0.5], "DT_UINT8"), ([256], "DT_UINT8"), ([-1], "DT_UINT8"), ([[1], [2, 3]], "DT_FLOAT"), ([2], "DT_BOOL"),
     ([1e300], "DT_FLOAT"), (["a"], "DT_FLOAT"), ([2**70], "DT_INT64"), (["1"], "DT_FLOAT"), ([None], "DT_FLOAT"),
     ([b"1"], "DT_UINT8"), ([[1.0, None]], "DT_DOUBLE"), (None, "DT_FLOAT"), ([1j], "DT_FLOAT"), (["1"], "DT_BOOL")],
)  # fmt: skip
def test_a_plain_value_that_would_change_is_refused(values: list[object], dtype: str) -> None:
    with pytest.raises(InvalidInputError, match=r'^input "x": expected '):
        convert("x", values, dtype)


@pytest.mark.parametrize("values", [0.5, [[1, 2], [3, 0.5]]])
def test_the_value_that_would_change_is_named(values: object) -> None:
    with pytest.raises(InvalidInputError, match=r"expected uint8 values from 0 to 255, received 0\.5$"):
        convert("x", values, "DT_UINT8")


def test_plain_values_become_what_the_model_takes() -> None:
    assert convert("x", [[1, 2]], "DT_FLOAT").dtype == np.float32
    assert convert("x", [1.0], "DT_UINT8").tolist() == [1]
    assert convert("x", [float("nan")], "DT_FLOAT").dtype == np.float32
    assert convert("x", ["ü", b"\xff"], "DT_STRING").tolist() == ["ü", b"\xff"]
    assert convert("x", np.float64([1]), "DT_FLOAT").dtype == np.float64


@pytest.mark.parametrize(
    ("status", "cause"),
    [(400, InvalidInputError), (404, ModelNotFoundError), (429, OverloadedError), (500, InferenceError),
     (503, UnavailableError), (418, ServingError)],
)  # fmt: skip
def test_a_refusal_is_the_gateways_own_cause(status: int, cause: type[ServingError]) -> None:
    with pytest.raises(cause, match=r"^why$") as caught:
        read_inference(reply(status))
    assert type(caught.value) is cause


HEADER = {"model_name": "m", "model_version": "1", "outputs": []}
OUTPUT = {"name": "y", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}


@pytest.mark.parametrize(
    "outputs",
    [
        [{**OUTPUT, "shape": [2]}],
        [{**OUTPUT, "shape": [-1, -1]}],
        [{**OUTPUT, "datatype": "FP8"}],
        [{**OUTPUT, "datatype": "BYTES"}],
        [{**OUTPUT, "parameters": {"binary_data_size": 3}}],
        [{**OUTPUT, "parameters": {"binary_data_size": 400}}],
        ["y"],
    ],
)
def test_an_answer_that_no_gateway_gives_is_said_to_be_that(outputs: list[object]) -> None:
    header = json.dumps({**HEADER, "outputs": outputs}).encode()
    with pytest.raises(ForeignAnswerError, match="what answers at http://gateway/x is no Atelier gateway: status 200"):
        read_inference(reply(200, header + b"\xff\xff\xff\xff", inference_header_content_length=str(len(header))))


@pytest.mark.parametrize("image", [np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros(4, np.uint8)])
def test_an_array_that_is_no_image_is_refused_before_it_is_sent(image: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match=r"^image: expected uint8 pixels of shape"):
        ask_classes(Choice.of("m"), image, 5)


def test_only_what_another_try_can_change_is_asked_again() -> None:
    assert [status for status in (200, 400, 404, 413, 429, 500, 501, 503, 504) if is_temporary(reply(status))] == [
        429,
        503,
    ]


def test_the_gateway_says_how_long_to_wait_or_the_waits_double() -> None:
    assert [pause_s(attempt, None, 1.0) for attempt in range(3)] == pytest.approx([0.1, 0.2, 0.4])
    assert pause_s(20, None, 1.0) == 5.0
    assert pause_s(0, reply(429, retry_after="1"), 0.0) == 1.0
    assert pause_s(0, reply(429, retry_after="Thu, 26 Nov 2026"), 1.0) == pytest.approx(0.1)
