"""The optimizer that a recipe's settings describe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training.settings import TrainingSettings

if TYPE_CHECKING:
    import keras

RISE = 0.2
"""The part of a one-cycle schedule in which the learning rate rises."""
START = 0.1
"""Where it starts, as a part of the highest rate."""
MOMENTUM = 0.9
_NOT_DECAYED = ("bias", "gamma", "beta")


def make_optimizer(settings: TrainingSettings, steps_per_epoch: int) -> keras.Optimizer:
    """A new optimizer; its schedule reaches its end with the last step of the last epoch."""
    import keras

    from training.adam import FusedAdam

    rate = _learning_rate(settings, steps_per_epoch * settings.epochs)
    decay = settings.weight_decay or None
    if settings.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=MOMENTUM, nesterov=True, weight_decay=decay)
    else:
        optimizer = FusedAdam(rate, weight_decay=decay)
    if decay is not None:
        optimizer.exclude_from_weight_decay(var_names=list(_NOT_DECAYED))
    return optimizer


def _learning_rate(settings: TrainingSettings, steps: int) -> Any:
    import keras

    highest = settings.learning_rate
    if settings.learning_rate_schedule == "constant":
        return highest
    if settings.learning_rate_schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(highest, decay_steps=steps)
    rise = max(1, round(RISE * steps))
    return keras.optimizers.schedules.CosineDecay(
        START * highest, decay_steps=max(1, steps - rise), warmup_target=highest, warmup_steps=rise
    )
