"""The training loop: whole stretches of steps compiled into one TensorFlow graph, on one device or on many.

Keras' own `fit` returns to Python after every few steps, and fails under `MultiWorkerMirroredStrategy` (Keras 3 cannot
reduce its metrics there). Here each replica adds up losses and metrics of its share of a batch, and only sums cross
devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.distribution import share_of
from training.objective import loss_and_metric
from training.pipeline import Share
from training.recipes.base import Recipe
from training.recipes.layers import LOGITS

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

SUMS = 3
"""How many a step gives: of the loss, of the metric, and the number of examples."""


@dataclass(frozen=True)
class Totals:
    """Sums over the examples of so many steps; the loss is not finite where the last of the steps failed."""

    loss: float = 0.0
    metric: float = 0.0
    examples: float = 0.0
    steps: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.loss + other.loss,
            self.metric + other.metric,
            self.examples + other.examples,
            self.steps + other.steps,
        )

    @property
    def mean_loss(self) -> float:
        """For each example."""
        return self.loss / self.examples

    @property
    def mean_metric(self) -> float:
        """For each example."""
        return self.metric / self.examples


class Loop:
    """A model and its optimizer, and the compiled functions that train and ask them.

    Must be made inside of the strategy's scope.
    """

    def __init__(
        self, recipe: Recipe, model: keras.Model, optimizer: keras.Optimizer, strategy: tf.distribute.Strategy
    ) -> None:
        import tensorflow as tf

        self.model = model
        self.optimizer = optimizer
        self._strategy = strategy
        self._output = recipe.output
        self._label_smoothing = recipe.training.label_smoothing
        self._raw = _without_last_activation(model)
        optimizer.build(model.trainable_variables)
        self._compiled_train = tf.function(self._train, reduce_retracing=True)
        self._compiled_judge = tf.function(self._judge, reduce_retracing=True)

    def distribute(self, batches: Callable[[Share], tf.data.Dataset]) -> Any:
        """The batches of this process' share, handed to its replicas in turn."""
        return self._strategy.distribute_datasets_from_function(lambda context: batches(share_of(context)))

    def train(self, batches: Iterator[Any], steps: int) -> Totals:
        """Trains on the next `steps` batches; stops after the first whose loss is not finite."""
        import tensorflow as tf

        return _totals(self._compiled_train(batches, tf.constant(steps)))

    def judge(self, batches: Any, steps: int) -> Totals:
        """Loss and metric over all batches of a distributed data set; changes nothing."""
        import tensorflow as tf

        return _totals(self._compiled_judge(iter(batches), tf.constant(steps)))

    def _train(self, batches: Iterator[Any], steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        import tensorflow as tf

        sums, done = tf.zeros(SUMS), tf.zeros((), tf.int32)
        while (done < steps) & tf.math.is_finite(sums[0]):
            sums += self._on_all(self._train_replica, next(batches))
            done += 1
        return sums, done

    def _judge(self, batches: Iterator[Any], steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        import tensorflow as tf

        sums = tf.zeros(SUMS)
        for _ in tf.range(steps):
            sums += self._on_all(self._judge_replica, next(batches))
        return sums, steps

    def _on_all(self, work: Any, batch: Any) -> tf.Tensor:
        """The sums of all replicas, so that all of them decide alike whether to go on."""
        import tensorflow as tf

        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, self._strategy.run(work, args=batch), axis=None)

    def _train_replica(self, inputs: tf.Tensor, targets: tf.Tensor, examples: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            loss, metric = loss_and_metric(
                self._output, self._raw(inputs, training=True), targets, self._label_smoothing
            )
            share_of_mean = tf.reduce_sum(loss) / examples
        # The optimizer adds up the replicas' gradients: together they are the mean's over the whole batch.
        self.optimizer.apply(tape.gradient(share_of_mean, variables), variables)
        return _sums(loss, metric)

    def _judge_replica(self, inputs: tf.Tensor, targets: tf.Tensor, _examples: tf.Tensor) -> tf.Tensor:
        loss, metric = loss_and_metric(self._output, self._raw(inputs, training=False), targets, self._label_smoothing)
        return _sums(loss, metric)


def ask(model: keras.Model, batches: tf.data.Dataset) -> np.ndarray:
    """Logits or predictions for every example, float32 `[N, outputs]`; each process asks for all of it by itself."""
    import tensorflow as tf

    raw = _without_last_activation(model)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def compiled(inputs: tf.Tensor) -> tf.Tensor:
        return raw(inputs, training=False)

    return np.concatenate([compiled(inputs).numpy() for inputs, _, _ in batches])


def _without_last_activation(model: keras.Model) -> keras.Model:
    import keras

    names = {layer.name for layer in model.layers}
    return keras.Model(model.input, model.get_layer(LOGITS).output) if LOGITS in names else model


def _sums(loss: tf.Tensor, metric: tf.Tensor) -> tf.Tensor:
    """Of the loss, of the metric, and the number of examples: in one tensor, as each that crosses devices costs."""
    import tensorflow as tf

    return tf.stack([tf.reduce_sum(loss), tf.reduce_sum(metric), tf.cast(tf.size(loss), tf.float32)])


def _totals(sums_and_steps: tuple[tf.Tensor, tf.Tensor]) -> Totals:
    sums, steps = sums_and_steps
    loss, metric, examples = sums.numpy()
    return Totals(float(loss), float(metric), float(examples), int(steps))
