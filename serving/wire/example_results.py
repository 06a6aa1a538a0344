"""What Classify and Regress answer: classes with scores and single values, from a signature's outputs to messages.

Behaviour and message texts follow tensorflow_serving/servables/tensorflow/{classifier,regressor}.cc; the messages are
those of tensorflow_serving/apis/{classification,regression}.proto, written without one object for each class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from serving.errors import InvalidInputError
from serving.signatures import format_shape
from serving.wire.protobuf_fields import bytes_field

CLASSES, SCORES, OUTPUTS = "classes", "scores", "outputs"
Encode = Callable[[Mapping[str, np.ndarray]], bytes]
"""Writes the outputs of a signature that is made for the method."""
_MATRIX_RANK = 2
_SCORE_TAG, _VALUE_TAG = b"\x15", b"\x0d"
_FLOAT_BYTES = 4
_ZERO = bytes(_FLOAT_BYTES)
"""A number that a message leaves out; not so the negative zero."""


def labels_and_scores(outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """A classification's labels (byte strings) and float32 scores by row and class; what it lacks is empty, or zero.

    Raises:
        InvalidInputError: the outputs are no [batch, classes] of strings and float32.
    """
    classes, scores = outputs.get(CLASSES), outputs.get(SCORES)
    for name, array, dtype in ((CLASSES, classes, object), (SCORES, scores, np.float32)):
        if array is not None and array.ndim != _MATRIX_RANK:
            received = format_shape(array.shape)
            raise InvalidInputError(f"Expected Tensor shape: [batch_size num_classes] but got {received}")
        if array is not None and array.dtype != dtype:
            expected = "DT_STRING" if dtype is object else "DT_FLOAT"
            raise InvalidInputError(f"Expected {name} Tensor of {expected}. Got: {array.dtype}")
    if scores is None:
        scores = np.zeros(classes.shape if classes is not None else (0, 0), np.float32)
    if classes is None:
        classes = np.broadcast_to(np.array(b"", object), scores.shape)
    if classes.shape != scores.shape:
        raise InvalidInputError(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    return classes, scores


def single_values(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """A regression's float32 numbers, one a row.

    Raises:
        InvalidInputError: the output is no [batch] or [batch, 1] of float32.
    """
    array = outputs[OUTPUTS]
    if array.shape not in {(len(array),), (len(array), 1)}:
        raise InvalidInputError(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            f"but got {format_shape(array.shape)}"
        )
    if array.dtype != np.float32:
        raise InvalidInputError(f"Expected output Tensor of DT_FLOAT.  Got: {array.dtype}")
    return array.reshape(-1)


def text_of(label: bytes) -> str:
    """A label as text, whatever its bytes are."""
    return label.decode("utf-8", "replace")


def encode_classification(outputs: Mapping[str, np.ndarray]) -> bytes:
    """A serialized ClassificationResult.

    Raises:
        InvalidInputError: see `labels_and_scores`.
    """
    labels, scores = labels_and_scores(outputs)
    entries = _ClassEntries()
    return b"".join(
        bytes_field(1, b"".join(map(entries.entry, names, numbers)))
        for names, numbers in zip(labels.tolist(), _numbers(scores), strict=True)
    )


def encode_regression(outputs: Mapping[str, np.ndarray]) -> bytes:
    """A serialized RegressionResult.

    Raises:
        InvalidInputError: see `single_values`.
    """
    head, nothing = bytes_field(1, _VALUE_TAG + _ZERO)[:-_FLOAT_BYTES], bytes_field(1, b"")
    return b"".join(head + number if number != _ZERO else nothing for number in _numbers(single_values(outputs)))


class _ClassEntries(dict[bytes, tuple[bytes, bytes]]):
    """By label: what stands before its score in a `classes` entry, and the entry of a score that is left out."""

    def __missing__(self, label: bytes) -> tuple[bytes, bytes]:
        text = text_of(label).encode()
        content = bytes_field(1, text) if text else b""
        with_score = bytes_field(1, content + _SCORE_TAG + _ZERO)
        self[label] = found = with_score[:-_FLOAT_BYTES], bytes_field(1, content)
        return found

    def entry(self, label: bytes, number: bytes) -> bytes:
        head, alone = self[label]
        return head + number if number != _ZERO else alone


def _numbers(array: np.ndarray) -> Any:
    """The float32 numbers as they travel, in lists of the array's form."""
    return np.ascontiguousarray(array, "<f4").view("V4").tolist()
