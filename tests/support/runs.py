"""Run folders as training leaves them, made in seconds by plain Keras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from serving.images import ImageSpec
from training.datasets import Dataset
from training.recipes.layers import classifier
from training.run import CONFIG, HISTORY, METRICS, MODEL, Epoch, History, Output, Run, RunConfig, RunMetrics, read_run

if TYPE_CHECKING:
    import keras

_LOSSES = {
    "softmax": "sparse_categorical_crossentropy",
    "sigmoid": "binary_crossentropy",
    "linear": "mean_squared_error",
}


def convolutional_net(image: ImageSpec, classes: int, output: Output) -> keras.Model:
    """One of each kind that an export has to get right: convolution, normalization, dropout, pooling, dense."""
    import keras

    def body(maps: keras.KerasTensor) -> keras.KerasTensor:
        maps = keras.layers.Conv2D(8, 3, activation="relu")(maps)
        maps = keras.layers.BatchNormalization()(maps)
        maps = keras.layers.MaxPooling2D()(maps)
        maps = keras.layers.SeparableConv2D(16, 3, padding="same", activation="swish")(maps)
        pooled = keras.layers.GlobalAveragePooling2D()(maps)
        features = keras.layers.Concatenate()([keras.layers.Flatten()(maps), pooled])
        return keras.layers.Dropout(0.1)(keras.layers.Dense(32, activation="relu")(features))

    return classifier(image, classes, output, body)


def regression() -> keras.Model:
    """The course's deep net from one number to another: 4, 4, 1."""
    import keras

    features = keras.Input((1,), dtype="float32", name="features")
    hidden = keras.layers.Dense(4)(keras.layers.Dense(4)(features))
    return keras.Model(features, keras.layers.Dense(1, name="predictions")(hidden))


def train_by_hand(
    path: Path,
    model: keras.Model,
    dataset: Dataset,
    output: Output,
    *,
    image: ImageSpec | None = None,
    data_dir: Path | None = None,
    epochs: int = 3,
    learning_rate: float = 1e-3,
) -> Run:
    """Fits the model and writes the run's files; `path` is made."""
    import keras

    metric = "mean_absolute_error" if output == "linear" else "accuracy"
    model.compile(keras.optimizers.Adam(learning_rate), loss=_LOSSES[output], metrics=[metric])
    inputs, targets = np.asarray(dataset.train.inputs), dataset.train.targets
    fitted = model.fit(inputs, targets, batch_size=32, epochs=epochs, verbose=0).history
    evaluated_on, split = dataset.evaluation
    figures = model.evaluate(np.asarray(split.inputs), split.targets, verbose=0, return_dict=True)
    path.mkdir()
    RunConfig(
        recipe=f"{dataset.name}-test",
        title="A small net",
        task="regression" if output == "linear" else "classification",
        output=output,
        metric=metric,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        data_dir=None if data_dir is None else str(data_dir),
        labels=dataset.labels,
        image=image,
        settings={"epochs": epochs, "learning_rate": learning_rate, "seed": 1},
        library_versions={"keras": keras.__version__},
        git_revision=None,
        started_at="2026-11-20T12:00:00+00:00",
    ).write(path / CONFIG)
    History(
        epochs=tuple(
            Epoch(loss=loss, metric=value, validation_loss=None, validation_metric=None, seconds=0.1)
            for loss, value in zip(fitted["loss"], fitted[metric], strict=True)
        )
    ).write(path / HISTORY)
    RunMetrics(
        evaluated_on=evaluated_on,
        examples=len(split),
        loss=figures["loss"],
        metric=metric,
        value=figures[metric],
        seconds=1.0,
        parameters=model.count_params(),
        weights_of_epoch=epochs,
    ).write(path / METRICS)
    model.save(path / MODEL)
    return read_run(path)
