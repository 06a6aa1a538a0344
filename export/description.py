"""What a model is for, as far as it has to be said: the model itself does not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.errors import WrongUseError
from serving.bundle import Task
from serving.images import ImageSpec
from serving.signatures import Signature, TensorSpec, format_shape

Colour = Literal["grayscale", "rgb"]

SCORES_RANK = 2
SIDES = 2


@dataclass(frozen=True)
class Description:
    """What the model does, the names of its classes, and how an image becomes its input; each as far as there is one.

    A classifier gives float32 scores `[N, len(labels)]`, from uint8 pixels `[N, *image.shape]` where it takes images.
    """

    task: Task | None = None
    labels: tuple[str, ...] = ()
    image: ImageSpec | None = None

    def or_else(self, other: Description) -> Description:
        """This, with what it does not say as `other` has it. What has classes or images is a classifier."""
        labels, image = self.labels or other.labels, self.image or other.image
        task = self.task or other.task or ("classification" if labels or image else None)
        return Description(task, labels, image)

    def misfit(self, signature: Signature) -> str | None:
        """What of it contradicts the signature, as a sentence without an end; None where nothing does."""
        shapes = " and ".join(_words(spec) for spec in signature.outputs)
        count = len(self.labels)
        if count and not any(len(spec.shape) == SCORES_RANK and spec.shape[1] == count for spec in signature.outputs):
            return f"the model gives {shapes}, expected scores [?, {count}] for its {count} labels"
        if self.image is not None and not any(spec.accepts((1, *self.image.shape)) for spec in signature.inputs):
            takes = " and ".join(_words(spec) for spec in signature.inputs)
            return f"the model takes {takes}, expected images {format_shape((None, *self.image.shape))}"
        return None


def describe(*, task: Task | None, labels: str | None, image_size: str | None, colour: Colour | None) -> Description:
    """A description in the words of the command line.

    Args:
        task: what the model does.
        labels: the names of the classes, with commas between them, or a file that has one a line.
        image_size: a side in pixels, `28`, or a height and a width, `24x32`.
        colour: the images', if there is a size; grayscale when None.

    Raises:
        WrongUseError: one of them is none of that, or a regression has classes or images.
    """
    description = Description(
        task,
        _parse_labels(labels) if labels else (),
        _parse_image(image_size, colour or "grayscale") if image_size else None,
    )
    if colour is not None and image_size is None:
        raise WrongUseError("--colour says nothing without the images' size: expected --image-size too")
    if task == "regression" and (labels or image_size):
        raise WrongUseError("a regression has neither labels nor images: expected no --labels and no --image-size")
    return description


def _parse_labels(text: str) -> tuple[str, ...]:
    path = Path(text)
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else text.split(",")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUseError(f"labels: {path} is not a file of UTF-8 text, one label a line") from error
    if len(lines) == 1 and path.suffix and not path.is_file():
        raise WrongUseError(f"labels: expected a file or names between commas, received {text!r}, which is neither")
    labels = tuple(line.strip() for line in lines)
    for index, label in enumerate(labels):
        if not label or label in labels[:index]:
            raise WrongUseError(f"labels: expected different names, received {label!r} for class {index}")
    return labels


def _parse_image(size: str, colour: Colour) -> ImageSpec:
    sides: Sequence[str] = size.lower().split("x")
    if len(sides) > SIDES or not all(side.isascii() and side.isdigit() for side in sides):
        raise WrongUseError(f"the image's size: expected pixels as 28 or 24x32, received {size!r}")
    try:
        return ImageSpec(int(sides[0]), int(sides[-1]), colour)
    except ValueError as error:
        raise WrongUseError(f"the image's size: {error}") from error


def _words(spec: TensorSpec) -> str:
    return f"{spec.dtype} {format_shape(spec.shape)}"
