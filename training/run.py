"""The run folder: what a training leaves behind, and what export starts from.

config.json   how it was trained            history.json  loss and metric of every epoch
model.keras   the trained model             metrics.json  the figures on the test split
report.html   all of it to look at          curves.png    a picture of the history
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from serving.images import ImageSpec
from training.errors import RunError
from training.settings import TrainingSettings

if TYPE_CHECKING:
    import keras

CONFIG = "config.json"
HISTORY = "history.json"
METRICS = "metrics.json"
MODEL = "model.keras"
CURVES = "curves.png"
REPORT = "report.html"

Task = Literal["classification", "regression"]
Output = Literal["softmax", "sigmoid", "linear"]
"""What the last layer gives: a score for each class, the probability of the second of two, or a number."""
MetricName = Literal["accuracy", "mean_absolute_error"]
SplitName = Literal["test", "validation"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def write(self, path: Path) -> None:
        """Writes the record as JSON."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


class RunConfig(_Record):
    """Everything that decided the weights: two runs with equal settings on one machine have equal weights."""

    recipe: str
    title: str
    task: Task
    output: Output
    metric: MetricName
    dataset: str
    dataset_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    data_dir: str | None
    """What `--data` was; None where the data was found without."""
    labels: tuple[str, ...]
    """The names of classes 0, 1, …; none for a regression."""
    image: ImageSpec | None
    settings: dict[str, JsonValue]
    """Every setting of the recipe by its key, those of the architecture included."""
    replicas: int = Field(default=1, ge=1)
    """How many devices, over all machines, shared each batch."""
    library_versions: dict[str, str]
    git_revision: str | None
    started_at: str
    """ISO 8601 with the offset from UTC."""

    @property
    def training(self) -> TrainingSettings:
        """The settings that every recipe has."""
        return TrainingSettings.model_validate(
            {key: value for key, value in self.settings.items() if key in TrainingSettings.model_fields}
        )


class Epoch(_Record):
    """One pass over the training examples: `loss` and `metric` are means over them, as they were met.

    The metric is the one that the run's settings name: accuracy, 0..1, or mean absolute error. The validation's figures
    are None where there is no validation split.
    """

    loss: float
    metric: float
    validation_loss: float | None
    validation_metric: float | None
    seconds: float

    def figures(self, metric: MetricName) -> dict[str, float]:
        """The figures by the names that goals use, such as `validation_accuracy`."""
        named = {
            "loss": self.loss,
            metric: self.metric,
            "validation_loss": self.validation_loss,
            f"validation_{metric}": self.validation_metric,
        }
        return {name: value for name, value in named.items() if value is not None}


class History(_Record):
    """The epochs in order; at least one."""

    epochs: tuple[Epoch, ...] = Field(min_length=1)
    stopped_early: str | None = None
    """Why training ended before its last epoch, in a sentence."""

    @property
    def best(self) -> int:
        """The index of the epoch with the lowest validation loss, or training loss where nothing was validated."""
        return min(range(len(self.epochs)), key=self._judged_loss)

    def _judged_loss(self, index: int) -> float:
        epoch = self.epochs[index]
        return epoch.loss if epoch.validation_loss is None else epoch.validation_loss


class RunMetrics(_Record):
    """The outcome on the split that training never saw, wall time of training, size of the model.

    `evaluated_on` says which split: `test`, or `validation` where the data set has no test split.
    """

    evaluated_on: SplitName
    examples: int = Field(ge=1)
    loss: float
    metric: MetricName
    value: float = Field(ge=0)
    """Of the metric."""
    seconds: float = Field(ge=0)
    parameters: int = Field(ge=0)
    weights_of_epoch: int = Field(ge=1)
    """Counted from 1: the last one, or the best one where training stopped early."""


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
        """Loads the model, ready to be asked.

        A classifier takes `pixels`, uint8 `[N, *config.image.shape]`, and gives `scores`, float32 `[N, len(labels)]`: a
        probability for each class, also where its last layer has one sigmoid unit. A regression takes `features`,
        float32 `[N, 1]`, and gives `predictions`, float32 `[N, 1]`.

        Raises:
            RunError: Keras cannot read the file.
        """
        import keras

        try:
            model = keras.models.load_model(self.model_path)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RunError(f"{self.model_path} cannot be loaded: {first_line}") from error
        return _with_both_classes(model) if self.config.output == "sigmoid" else model


def _with_both_classes(model: keras.Model) -> keras.Model:
    """From the second class's probability, `[N, 1]`, to `scores` of both, `[N, 2]`."""
    import keras

    second = model.output
    scores = keras.layers.Concatenate(name="scores_of_both")([1.0 - second, second])  # "scores" is the sigmoid
    return keras.Model(model.input, scores)


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
        config=read_record(path / CONFIG, RunConfig),
        history=read_record(path / HISTORY, History),
        metrics=read_record(path / METRICS, RunMetrics),
    )


def read_config(folder: Path) -> RunConfig:
    """The settings of a run, which may be unfinished.

    Raises:
        RunError: the file is missing or damaged.
    """
    return read_record(folder / CONFIG, RunConfig)


RecordT = TypeVar("RecordT", bound=BaseModel)


def read_record(path: Path, kind: type[RecordT]) -> RecordT:
    """What a JSON file of a run or a sweep holds.

    Raises:
        RunError: it cannot be read, or is damaged.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise RunError(f"{path} is damaged: {where}: {first['msg']}") from error
