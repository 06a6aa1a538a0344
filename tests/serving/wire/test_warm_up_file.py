"""The warm-up file as TensorFlow writes it, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.errors import BundleError
from serving.signatures import CLASSIFY_METHOD, Signature, TensorSpec
from serving.wire.warm_up_file import MAX_RECORDS, warm_up_requests

SCORES = (TensorSpec("scores", "float32", (None, 3)),)
SIGNATURES = {
    "serving_default": Signature((TensorSpec("pixels", "uint8", (None, 2)),), SCORES),
    "classify": Signature((TensorSpec("inputs", "string", (None,)),), SCORES, CLASSIFY_METHOD),
}


def predict_log(rows: int = 2, signature: str = "", name: str = "pixels") -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    pixels = np.full((rows, 2), 7, np.uint8)
    log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(pixels))
    return log


def classify_log() -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    request = log.classify_log.request
    request.model_spec.signature_name = "classify"
    request.input.example_list.examples.add().features.feature["a"].int64_list.value.append(1)
    return log


def multi_inference_log() -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    request = log.multi_inference_log.request
    request.tasks.add().model_spec.signature_name = "classify"
    request.input.example_list.examples.add()
    return log


def write(path: Path, *logs: prediction_log_pb2.PredictionLog | bytes) -> bytes:
    with tf.io.TFRecordWriter(str(path)) as file:
        for log in logs:
            file.write(log if isinstance(log, bytes) else log.SerializeToString())
    return path.read_bytes()


def test_every_kind_of_request_is_read_in_order(tmp_path: Path) -> None:
    content = write(tmp_path / "file", predict_log(), classify_log(), multi_inference_log())
    (first, pixels), (second, examples), (third, more) = warm_up_requests(content, SIGNATURES)

    assert (first, second, third) == ("serving_default", "classify", "classify")
    assert pixels["pixels"].tolist() == [[7, 7], [7, 7]]
    example = tf.train.Example.FromString(examples["inputs"][0])
    assert example.features.feature["a"].int64_list.value[:] == [1]
    assert more["inputs"].tolist() == [b""]


def test_requests_to_signatures_that_the_back_end_has_not_are_passed_over(tmp_path: Path) -> None:
    content = write(tmp_path / "file", classify_log(), predict_log(signature="other"), predict_log(rows=1))
    known = {"serving_default": SIGNATURES["serving_default"]}
    assert [name for name, _ in warm_up_requests(content, known)] == ["serving_default"]


def test_an_empty_file_asks_nothing() -> None:
    assert list(warm_up_requests(b"", SIGNATURES)) == []


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        (predict_log(name="other"), r"record 2: .* Sent extra: \{other\}. Missing but required: \{pixels\}"),
        (b"\xff\xff", "record 2 is no PredictionLog"),
    ],
    ids=["another input", "no message"],
)
def test_a_record_that_its_signature_does_not_take_is_named(
    tmp_path: Path, log: prediction_log_pb2.PredictionLog | bytes, problem: str
) -> None:
    content = write(tmp_path / "file", predict_log(), log)
    with pytest.raises(BundleError, match=problem):
        list(warm_up_requests(content, SIGNATURES))


@pytest.mark.parametrize("kept", [5, 12, 20, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    content = write(tmp_path / "file", predict_log())
    with pytest.raises(BundleError, match="is cut off"):
        list(warm_up_requests(content[:kept], SIGNATURES))


def test_more_records_than_tensorflow_serving_takes_are_refused(tmp_path: Path) -> None:
    content = write(tmp_path / "file", predict_log(rows=1)) * (MAX_RECORDS + 1)
    with pytest.raises(BundleError, match="expected at most 1,000 records"):
        list(warm_up_requests(content, SIGNATURES))
