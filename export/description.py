"""What a model is for, as far as it has to be said: the model itself does not tell."""

from __future__ import annotations

from dataclasses import dataclass

from serving.bundle import Task
from serving.images import ImageSpec


@dataclass(frozen=True)
class Description:
    """What the model does, the names of its classes, and how an image becomes its input; each as far as there is one.

    A classifier gives float32 scores `[N, len(labels)]`, from uint8 pixels `[N, *image.shape]` where it takes images.
    """

    task: Task | None = None
    labels: tuple[str, ...] = ()
    image: ImageSpec | None = None
