"""What may be set on a recipe, by `--set key=value`, by a sweep, or by an option of its own.

Every group is a frozen pydantic model that also reads text, so that a command line, a sweep's grid and the
`config.json` of a run all go the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from serving.images import ImageSpec
from training.goals import StopAt

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Optimizer = Literal["adam", "sgd"]
LearningRateSchedule = Literal["constant", "cosine", "one-cycle"]
"""`cosine` falls to 0 by the last step along half a cosine; `one-cycle` first rises for a fifth of the steps."""

Precision = Literal["float32", "bfloat16"]
"""What layers compute in; weights, losses and the saved model are float32 either way."""

MAX_COUNT = 2**31 - 1
MAX_SEED = 2**32 - 1


class Settings(BaseModel):
    """A group of settings; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_EXPECTED = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "literal_error": "{expected}",
    "finite_number": "a finite number",
}
_EXPECTED_OF_KIND = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "numbers, as 512,256",
}


def expectation(error: ErrorDetails) -> str:
    """What pydantic found wrong with a value, as the part of a sentence that says what was expected."""
    kind = error["type"]
    limits = {name: f"{limit:g}" if isinstance(limit, float) else limit for name, limit in error.get("ctx", {}).items()}
    expected = _EXPECTED.get(kind, _EXPECTED_OF_KIND.get(kind.partition("_")[0]))
    if expected is None:
        return error["msg"].removeprefix("Value error, ")
    each = " for each" if isinstance(error["loc"][-1], int) else ""
    return f"expected {expected.format(**limits)}{each}"


def _split_commas(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",")] if value.strip() else []


Sizes = Annotated[tuple[Annotated[int, Field(ge=1, le=65_536)], ...], BeforeValidator(_split_commas)]
"""Layer sizes; as text, numbers with commas between them: `512,256`."""

Fraction = Annotated[float, Field(ge=0, lt=1)]


class TrainingSettings(Settings):
    """How the weights are found."""

    epochs: int = Field(ge=1, le=MAX_COUNT)
    batch_size: int = Field(default=32, ge=1, le=MAX_COUNT)
    optimizer: Optimizer = "adam"
    learning_rate: float = Field(default=1e-3, gt=0)
    """The optimizer's step size; the highest one where a schedule moves it."""
    learning_rate_schedule: LearningRateSchedule = "constant"
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled decay of the kernels, as AdamW has it."""
    label_smoothing: Fraction = 0.0
    precision: Precision = "float32"
    """`bfloat16` is about twice as fast for wide convolutions where the processor has instructions for it."""
    validation_split: Fraction = 0.1
    """Of the training images, where the data set has no validation split; 0 trains on all and validates nothing."""
    early_stopping: int | None = Field(default=None, ge=1)
    """Epochs without a lower validation loss to wait before stopping; the best epoch's weights are then kept."""
    stop_at: StopAt | None = None
    """Stops after the first epoch that reaches the goal, as `accuracy=0.95` or `loss=0.4`."""
    seed: int = Field(default=0, ge=0, le=MAX_SEED)


class PixelSettings(Settings):
    """What images become before the model sees them: square, `image_size` pixels a side."""

    image_size: int = Field(ge=1, le=1024)
    colour: Literal["grayscale", "rgb"]

    @property
    def image(self) -> ImageSpec:
        """The same for the decoder."""
        return ImageSpec(self.image_size, self.image_size, self.colour)


class Augmentation(Settings):
    """How far training images are moved about, anew in every epoch; the defaults are the course's.

    Each amount is the greatest one; what happens is drawn uniformly up to it, to both sides.
    """

    augment: bool = False
    """Whether any of it happens."""
    flip: bool = True
    """Left and right change places, every second time."""
    rotation_degrees: float = Field(default=40.0, ge=0, le=180)
    shift: Fraction = 0.2
    """Of the image's width and of its height."""
    shear: Fraction = 0.2
    """Sideways, of the distance from the middle row."""
    zoom: Fraction = 0.2
    """0.2 draws the image from 0.8 to 1.2 times its size."""
    erase: Fraction = 0.0
    """Side of a square that is blanked at a random place, of the image's sides."""
