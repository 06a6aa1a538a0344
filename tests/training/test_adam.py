"""The fused Adam against Keras' own."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from training.adam import FusedAdam

STEPS = 50


def trained(kind: type[keras.optimizers.Adam], **settings: object) -> list[np.ndarray]:
    """What a kernel and a bias, and the optimizer's own variables, are after so many random gradients."""
    random = np.random.default_rng(0)
    kernel = keras.Variable(random.normal(size=(5, 3)).astype(np.float32), name="kernel")
    bias = keras.Variable(np.zeros(3, np.float32), name="bias")
    optimizer = kind(**settings)
    optimizer.build([kernel, bias])
    for _ in range(STEPS):
        optimizer.apply(
            [keras.ops.convert_to_tensor(random.normal(size=one.shape), "float32") for one in (kernel, bias)]
        )
    return [np.asarray(one) for one in (kernel, bias, *optimizer.variables)]


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.1},
        {"learning_rate": 0.01, "weight_decay": 0.1},
        {"learning_rate": keras.optimizers.schedules.CosineDecay(0.1, STEPS)},
    ],
    ids=["a constant rate", "weight decay", "a schedule"],
)
def test_the_fused_step_is_keras_step(settings: dict[str, object]) -> None:
    ours, theirs = trained(FusedAdam, **settings), trained(keras.optimizers.Adam, **settings)

    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)
    assert not np.array_equal(ours[0], trained(keras.optimizers.Adam, learning_rate=0.05)[0])
