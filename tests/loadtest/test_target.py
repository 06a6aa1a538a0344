"""What is asked under load fits the model, and a wrong answer is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from loadtest.target import Target, TargetError, find_target
from serving.signatures import DTYPES, TensorSpec
from serving.wire.atelier_tfs_pb2 import PredictRequest, PredictResponse
from serving.wire.tensors import decode_tensor, encode_content
from tests.support.bundles import write_bundle
from tests.support.gateway import running_gateway
from tests.support.onnx_models import write_identity_model, write_two_input_model
from tests.support.stranger import stranger

TARGET = Target("brightness", TensorSpec("pixels", "uint8", (None, 2, 2)), TensorSpec("scores", "float32", (None, 3)))


def grpc_answer(scores: np.ndarray, name: str = "scores") -> bytes:
    response = PredictResponse()
    encode_content(response.outputs[name], scores, DTYPES["float32"])
    return response.SerializeToString()


def rest_answer(scores: np.ndarray) -> bytes:
    return json.dumps({"predictions": scores.tolist()}).encode()


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16", "int64"])
def test_rows_have_the_inputs_dtype_and_shape_and_depend_on_the_seed_alone(dtype: str) -> None:
    target = Target("m", TensorSpec("x", dtype, (None, 4, None)), TARGET.output)
    rows = target.rows(5, seed=1)
    assert (rows.dtype.name, rows.shape) == (dtype, (5, 4, 1))
    assert len(np.unique(rows)) > 5
    np.testing.assert_array_equal(rows, target.rows(5, seed=1))


def test_both_requests_carry_the_rows() -> None:
    rows = TARGET.rows(2, seed=0)
    request = PredictRequest.FromString(TARGET.grpc_request(rows))
    assert request.model_spec.name == "brightness"
    np.testing.assert_array_equal(decode_tensor(request.inputs["pixels"], TARGET.input, max_bytes=100), rows)
    assert json.loads(TARGET.rest_request(rows)) == {"instances": rows.tolist()}


def test_a_right_answer_is_not_complained_about() -> None:
    scores = np.float32([[1, 2, 3], [4, 5, 6]])
    assert TARGET.check_grpc(grpc_answer(scores), 2) is None
    assert TARGET.check_rest(rest_answer(scores), 2) is None


@pytest.mark.parametrize(
    ("scores", "wrong"),
    [
        (np.zeros((1, 3), np.float32), "expected 2 rows of shape (3,), received (1, 3)"),
        (np.full((2, 3), np.nan, np.float32), "expected finite numbers, received NaN or infinity"),
    ],
)
def test_a_wrong_answer_is_named(scores: np.ndarray, wrong: str) -> None:
    assert TARGET.check_grpc(grpc_answer(scores), 2) == wrong
    assert TARGET.check_rest(rest_answer(scores), 2) == wrong


def test_an_answer_without_the_output_is_named() -> None:
    answer = grpc_answer(np.zeros((2, 3), np.float32), name="other")
    assert TARGET.check_grpc(answer, 2) == "expected output scores, received other"


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"{}",
        b"[]",
        b'{"error": "busy"}',
        b'{"predictions": [[1, 2], [3]]}',
        b'{"predictions": ["a", "b"]}',
    ],
)
def test_a_body_without_rows_of_numbers_is_named(answer: bytes) -> None:
    assert TARGET.check_rest(answer, 2) == f"expected predictions in rows of numbers, received {answer!r}"


def test_rows_of_another_width_are_named() -> None:
    scores = np.zeros((2, 4), np.float32)
    assert TARGET.check_rest(rest_answer(scores), 2) == "expected 2 rows of shape (3,), received (2, 4)"
    assert "[?, 3], received [2, 4]" in (TARGET.check_grpc(grpc_answer(scores), 2) or "")


def test_bytes_that_are_no_message_are_named() -> None:
    wrong = TARGET.check_grpc(b"\xff\xff", 2)
    assert wrong is not None
    assert wrong.startswith("expected a PredictResponse with scores, received another: ")


def test_the_target_is_found_out_from_the_gateway(tmp_path: Path) -> None:
    write_bundle(tmp_path / "brightness" / "1")
    write_two_input_model(tmp_path / "pair" / "1")
    write_identity_model(tmp_path / "text" / "1", TensorProto.STRING, ["N"])
    with running_gateway(tmp_path) as gateway:
        assert find_target(gateway.rest_url, "brightness") == TARGET
        for model in ("pair", "text"):
            with pytest.raises(TargetError, match=f"^model {model}: expected one numeric input and one output"):
                find_target(gateway.rest_url, model)
        with pytest.raises(TargetError, match=r"/v1/models/a%2Fb/metadata answers 404: .*Latest\(a/b\)"):
            find_target(gateway.rest_url, "a/b")


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b'{"metadata": {"signature_def": 3}}'])
def test_something_else_that_answers_is_no_target(body: bytes) -> None:
    with stranger(body) as other, pytest.raises(TargetError, match=r"^no model server answers at "):
        find_target(other.url, "m")
