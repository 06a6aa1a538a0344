"""Losses and metrics against Keras' own."""

from __future__ import annotations

import numpy as np
import pytest

from training.objective import answers, loss_and_metric
from training.run import Output

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 3, (64, 5)).astype(np.float32)
CLASSES = RANDOM.integers(0, 5, 64)
ONE_LOGIT = RANDOM.normal(0, 3, (64, 1)).astype(np.float32)
BINARY = RANDOM.integers(0, 2, 64)


def ours(output: Output, raw: np.ndarray, targets: np.ndarray, smoothing: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf

    loss, metric = loss_and_metric(output, tf.constant(raw), tf.constant(targets), smoothing)
    assert loss.shape == metric.shape == (len(raw),)
    assert loss.dtype == metric.dtype == tf.float32
    return loss.numpy(), metric.numpy()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_softmax_has_keras_categorical_cross_entropy(smoothing: float) -> None:
    import keras

    loss, metric = ours("softmax", LOGITS, CLASSES, smoothing)

    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=None)(
        np.eye(5, dtype=np.float32)[CLASSES], LOGITS
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_array_equal(metric, keras.metrics.sparse_categorical_accuracy(CLASSES, LOGITS))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_sigmoid_has_keras_binary_cross_entropy(smoothing: float) -> None:
    import keras

    loss, metric = ours("sigmoid", ONE_LOGIT, BINARY, smoothing)

    truth = BINARY[:, None].astype(np.float32)
    expected = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=None)(
        truth, ONE_LOGIT
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-7)
    accuracy = keras.metrics.binary_accuracy(truth, 1 / (1 + np.exp(-ONE_LOGIT)))
    np.testing.assert_array_equal(metric, np.ravel(accuracy))


def test_a_regression_has_the_squared_and_the_absolute_error() -> None:
    loss, metric = ours("linear", np.array([[1.0], [-2.0]], np.float32), np.array([[3.0], [-2.5]], np.float32))

    np.testing.assert_array_equal(loss, [4, 0.25])
    np.testing.assert_array_equal(metric, [2, 0.5])


def test_a_hopeless_logit_has_a_finite_loss() -> None:
    loss, _ = ours("softmax", np.array([[1e4, -1e4]], np.float32), np.array([1]))
    binary, _ = ours("sigmoid", np.array([[-1e4]], np.float32), np.array([1]))

    assert loss.tolist() == [20_000]
    assert binary.tolist() == [10_000]


@pytest.mark.parametrize(("output", "raw"), [("softmax", LOGITS), ("sigmoid", ONE_LOGIT), ("softmax", LOGITS * 1e4)])
def test_answers_are_probabilities_of_every_class(output: Output, raw: np.ndarray) -> None:
    scores = answers(output, raw)

    assert scores.shape == (64, 2 if output == "sigmoid" else 5)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    if output == "sigmoid":
        np.testing.assert_allclose(scores[:, 1:], 1 / (1 + np.exp(-raw)), rtol=1e-5)


def test_answers_of_a_regression_are_its_predictions() -> None:
    np.testing.assert_array_equal(answers("linear", ONE_LOGIT), ONE_LOGIT)
