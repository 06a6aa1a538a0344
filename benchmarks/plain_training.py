"""The course's own script, as an introduction has it: `fit` on numpy arrays, batches of 32, Adam.

    python -m benchmarks.plain_training RECIPE EPOCHS

Builds the recipe's net, and prints the seconds of training and the test accuracy as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from training.datasets import load_dataset
from training.environment import quiet_tensorflow
from training.recipes import find_recipe

if TYPE_CHECKING:
    import keras

HIDDEN_UNITS = {"mnist-dense": 512, "fashion-mnist-dense": 128, "digits-dense": 128}
"""Of the recipes whose nets are dense; the others' is convolutional."""


def dense_net(side: int, units: int) -> keras.Model:
    """Flatten, one hidden layer, ten classes."""
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((side, side)),
            layers.Flatten(),
            layers.Dense(units, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def convolutional_net(side: int) -> keras.Model:
    """Two convolutions with max-pooling, one hidden layer, ten classes."""
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((side, side, 1)),
            layers.Conv2D(32, (3, 3), padding="same", activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), padding="same", activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def main(recipe: str, epochs: int) -> None:
    """Trains, judges, prints."""
    data = load_dataset(find_recipe(recipe).dataset)
    assert data.test is not None  # noqa: S101 -- for the type checker
    train_images, train_labels = data.train.inputs / 255.0, data.train.targets
    test_images, test_labels = data.test.inputs / 255.0, data.test.targets
    side = train_images.shape[1]
    quiet_tensorflow()
    import keras

    keras.utils.set_random_seed(0)
    if recipe in HIDDEN_UNITS:
        model = dense_net(side, HIDDEN_UNITS[recipe])
    else:
        model = convolutional_net(side)
        train_images, test_images = train_images[..., None], test_images[..., None]
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    started = time.perf_counter()
    model.fit(train_images, train_labels, epochs=epochs, batch_size=32, verbose=0)
    seconds = time.perf_counter() - started
    _, accuracy = model.evaluate(test_images, test_labels, verbose=0)
    print(json.dumps({"seconds": seconds, "accuracy": accuracy}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
