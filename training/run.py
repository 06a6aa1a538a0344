"""The run folder: what a training leaves behind, and what export starts from.

config.json   how it was trained            history.json  loss and accuracy of every epoch
model.keras   the trained model             metrics.json  the figures on the test split
curves.png    a picture of the history
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.images import ImageSpec
from training.errors import RunError

if TYPE_CHECKING:
    import keras

CONFIG = "config.json"
HISTORY = "history.json"
METRICS = "metrics.json"
MODEL = "model.keras"
CURVES = "curves.png"

LearningRateDecay = Literal["none", "cosine"]
"""Whether the learning rate stays, or falls to 0 by the last step along half a cosine."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def write(self, path: Path) -> None:
        """Writes the record as JSON."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


class RunConfig(_Record):
    """Everything that decided the weights: two runs with equal settings on one machine have equal weights."""

    recipe: str
    task: Literal["classification"]
    dataset: str
    dataset_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    labels: tuple[str, ...]
    image: ImageSpec
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    learning_rate_decay: LearningRateDecay
    validation_split: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)
    library_versions: dict[str, str]
    git_revision: str | None
    started_at: str
    """ISO 8601 with the offset from UTC."""


class Epoch(_Record):
    """One pass over the training images; `loss` and `accuracy` (0..1) are means over its batches."""

    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


class History(_Record):
    """The epochs in order; at least one."""

    epochs: tuple[Epoch, ...] = Field(min_length=1)

    @property
    def best(self) -> int:
        """The index of the epoch with the lowest validation loss."""
        return min(range(len(self.epochs)), key=lambda index: self.epochs[index].validation_loss)


class RunMetrics(_Record):
    """The outcome: loss and accuracy (0..1) on the test split, wall time of training, size of the model."""

    test_accuracy: float = Field(ge=0, le=1)
    test_loss: float
    seconds: float = Field(ge=0)
    parameters: int = Field(ge=0)


@dataclass(frozen=True)
class Run:
    """A finished training on disk."""

    path: Path
    config: RunConfig
    history: History
    metrics: RunMetrics

    @property
    def model_path(self) -> Path:
        """The trained model in Keras' own format."""
        return self.path / MODEL

    def load_model(self) -> keras.Model:
        """Loads the model.

        Its input is `pixels`, uint8 `[N, *config.image.shape]`;
        its output `scores`, float32 `[N, len(labels)]`.

        Raises:
            RunError: Keras cannot read the file.
        """
        import keras

        try:
            return keras.models.load_model(self.model_path)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RunError(f"{self.model_path} cannot be loaded: {first_line}") from error


def read_run(path: Path) -> Run:
    """Reads a finished run folder; the model itself is loaded only by `Run.load_model`.

    Raises:
        RunError: no such folder, a file of it is missing, or a file is damaged.
    """
    if not path.is_dir():
        raise RunError(f"{path} is not a run folder: {'it is a file' if path.exists() else 'it does not exist'}")
    missing = [name for name in (CONFIG, HISTORY, METRICS, MODEL) if not (path / name).is_file()]
    if missing:
        raise RunError(f"{path} is not a finished run: {', '.join(missing)} missing")
    if not zipfile.is_zipfile(path / MODEL):
        raise RunError(f"{path / MODEL} is damaged: not a .keras archive")
    return Run(
        path=path,
        config=_read_record(path / CONFIG, RunConfig),
        history=_read_record(path / HISTORY, History),
        metrics=_read_record(path / METRICS, RunMetrics),
    )


RecordT = TypeVar("RecordT", bound=_Record)


def _read_record(path: Path, kind: type[RecordT]) -> RecordT:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise RunError(f"{path} is damaged: {where}: {first['msg']}") from error
