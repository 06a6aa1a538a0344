"""What every source gives: a model that writes itself into a bundle, and what is known about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from export.description import Description
from export.runtimes import Answering
from serving.bundle import Provenance, TrainingFacts
from serving.signatures import Signature
from training.datasets import Dataset
from training.run import MetricName

Progress = Callable[[str], None]
"""Called with what is about to be done."""


class Model(Protocol):
    """A loaded model, ready to be written in the formats that every later target is made from."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Its functions by name; `serving_default` is among them."""
        ...

    def write(self, bundle: Path, original: Original, progress: Progress) -> tuple[str, ...]:
        """Writes the SavedModel and `model.onnx`, as far as the model has them.

        Returns:
            What the bundle lacks, and why: a sentence without an end for each.

        Raises:
            ExportError: the model cannot be written, or not in this format.
            OSError: the disk refuses.
        """
        ...


@dataclass(frozen=True, eq=False)
class Examples:
    """The data that the model was made with: every runtime is measured on its evaluation split.

    `recorded` is what training noted there, of `metric`.
    """

    dataset: Dataset
    metric: MetricName
    recorded: float


@dataclass(frozen=True, eq=False)
class Original:
    """A model as its source gave it: what every file of the bundle has to equal.

    `title` names the graph inside of the ONNX file, whatever the model is called in a repository. `provenance` is the
    file that it came from; what only our own runs know is None for others. `in_memory` is the model before it was
    written, None where the source is the files themselves.
    """

    title: str
    description: Description
    model: Model
    provenance: Provenance
    training: TrainingFacts | None = None
    examples: Examples | None = None
    in_memory: Answering | None = None

    @property
    def metadata(self) -> Mapping[str, object]:
        """The facts that go into files which can carry some; the same for the same source, whenever it is exported."""
        image, training = self.description.image, self.training
        about_training: dict[str, object] = {}
        if training is not None:
            about_training = {
                "recipe": training.recipe,
                "dataset": training.dataset,
                "dataset_sha256": training.dataset_sha256,
                "seed": training.seed,
                "git_revision": training.git_revision,
            }
        return {
            "task": self.description.task,
            "labels": self.description.labels,
            "image": None if image is None else asdict(image),
            **about_training,
        }


class Source(Protocol):
    """A place to take a model from; nothing is loaded before `load`."""

    @property
    def name(self) -> str:
        """What the model is called in the repository unless told otherwise.

        Raises:
            WrongUseError: the source's own name cannot be a model's name.
        """
        ...

    def load(self, progress: Progress) -> Original:
        """Loads the model, and its data where there is some.

        Raises:
            ExportError: it cannot be exported, or the data is not what it was trained on.
            TrainingError: a run's model or data set cannot be loaded.
        """
        ...
