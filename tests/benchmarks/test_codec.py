"""The codec's benchmark: it measures what it says, and runs."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from benchmarks.codec import measure, ours, request_of, theirs

PIXELS = np.arange(784, dtype=np.float32).reshape(1, 28, 28)
SCORES = np.float32([[0.25] * 10])


@pytest.mark.parametrize("content", [True, False])
def test_both_answer_the_same_request_alike(content: bool) -> None:
    message = request_of(PIXELS, content=content)
    answers = [predict_pb2.PredictResponse.FromString(way(message)) for way in (ours(PIXELS, SCORES), theirs(SCORES))]

    assert np.array_equal(tf.make_ndarray(predict_pb2.PredictRequest.FromString(message).inputs["pixels"]), PIXELS)
    assert [tf.make_ndarray(answer.outputs["scores"]).tolist() for answer in answers] == [SCORES.tolist()] * 2
    assert answers[0].model_spec == answers[1].model_spec


def test_every_case_is_measured() -> None:
    found = measure(rounds=1, calls=1)

    assert len(found) == 8
    assert all(our_us > 0 and their_us > 0 for our_us, their_us in found.values())
