"""Results of Classify and Regress have the bytes that TensorFlow Serving's own messages have."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow_serving.apis import classification_pb2, regression_pb2

from serving.wire.example_results import encode_classification, encode_regression

FLOATS = st.floats(width=32) | st.sampled_from([0.0, -0.0])
SCORES = arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=4), elements=FLOATS)


def classes(labels: list[list[str]], scores: np.ndarray) -> bytes:
    """The same by the official message."""
    result = classification_pb2.ClassificationResult()
    for names, numbers in zip(labels, scores.tolist(), strict=True):
        entry = result.classifications.add()
        for name, number in zip(names, numbers, strict=True):
            entry.classes.add(label=name, score=number)
    return bytes(result.SerializeToString())


@given(SCORES, st.data())
def test_classes_with_labels(scores: np.ndarray, data: st.DataObject) -> None:
    texts = st.sampled_from(["", "cat", "ü" * 100]) | st.text(st.characters(exclude_categories=["Cs"]))
    labels = data.draw(arrays.arrays(object, scores.shape, elements=texts))
    encoded = np.array([text.encode() for text in labels.flat], object).reshape(labels.shape)
    assert encode_classification({"classes": encoded, "scores": scores}) == classes(labels.tolist(), scores)


@given(SCORES)
def test_classes_without_labels(scores: np.ndarray) -> None:
    assert encode_classification({"scores": scores}) == classes([[""] * scores.shape[1]] * len(scores), scores)


def test_labels_without_scores_and_labels_that_are_no_text() -> None:
    labels = np.array([[b"cat", b"\xff"]], object)
    assert encode_classification({"classes": labels}) == classes([["cat", "�"]], np.zeros((1, 2)))


@given(arrays.arrays(np.float32, arrays.array_shapes(max_dims=1, max_side=5), elements=FLOATS))
def test_regressions(numbers: np.ndarray) -> None:
    result = regression_pb2.RegressionResult()
    for number in numbers.tolist():
        result.regressions.add(value=number)
    assert encode_regression({"outputs": numbers}) == result.SerializeToString()
    assert encode_regression({"outputs": numbers[:, np.newaxis]}) == result.SerializeToString()
