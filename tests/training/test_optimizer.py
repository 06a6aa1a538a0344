"""Learning rates over a training, and what weight decay leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.optimizer import make_optimizer
from training.settings import TrainingSettings

STEPS, EPOCHS = 20, 5


def rates(**settings: Any) -> np.ndarray:
    """The learning rate before each of the training's 100 steps, and after the last."""
    optimizer = make_optimizer(TrainingSettings(epochs=EPOCHS, learning_rate=0.5, **settings), STEPS)
    schedule = optimizer._learning_rate
    steps = range(STEPS * EPOCHS + 1)
    return np.array([float(schedule(step)) if callable(schedule) else float(schedule) for step in steps])


def test_a_constant_rate_stays() -> None:
    assert set(rates()) == {0.5}


def test_a_cosine_falls_from_the_highest_rate_to_zero() -> None:
    seen = rates(learning_rate_schedule="cosine")

    assert seen[0] == 0.5
    assert (np.diff(seen) < 0).all()
    assert seen[50] == pytest.approx(0.25)
    assert 0 < seen[99] < 0.001
    assert seen[100] == pytest.approx(0, abs=1e-9)


def test_one_cycle_rises_for_a_fifth_and_then_falls_to_zero() -> None:
    seen = rates(learning_rate_schedule="one-cycle")

    assert seen[0] == pytest.approx(0.05)
    assert seen.argmax() == 20
    assert seen.max() == pytest.approx(0.5)
    assert (np.diff(seen[:21]) > 0).all()
    assert (np.diff(seen[20:]) < 0).all()
    assert seen[60] == pytest.approx(0.25)
    assert seen[100] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one-cycle"])
def test_a_training_of_one_step_has_a_rate_too(schedule: str) -> None:
    optimizer = make_optimizer(TrainingSettings(epochs=1, learning_rate=0.5, learning_rate_schedule=schedule), 1)

    assert 0 < float(optimizer.learning_rate) <= 0.5


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_weight_decay_shrinks_kernels_and_no_biases_or_normalizations(name: str) -> None:
    import keras

    layers = [keras.layers.Dense(3, bias_initializer="ones"), keras.layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((2,)), *layers])
    settings = TrainingSettings(epochs=1, optimizer=name, learning_rate=0.1, weight_decay=0.5)
    optimizer = make_optimizer(settings, 1)
    before = {variable.path: np.array(variable.numpy()) for variable in model.trainable_variables}
    optimizer.build(model.trainable_variables)

    optimizer.apply([np.zeros(variable.shape, np.float32) for variable in model.trainable_variables])

    for variable in model.trainable_variables:
        factor = 1 - 0.1 * 0.5 if variable.name == "kernel" else 1
        np.testing.assert_allclose(variable.numpy(), before[variable.path] * factor, rtol=1e-6)


def test_the_optimizer_is_the_one_that_was_asked_for() -> None:
    adam = make_optimizer(TrainingSettings(epochs=1), 1)
    sgd = make_optimizer(TrainingSettings(epochs=1, optimizer="sgd"), 1)

    assert (type(adam).__name__, type(sgd).__name__, sgd.momentum, sgd.nesterov) == ("FusedAdam", "SGD", 0.9, True)
    assert adam.weight_decay is None
