"""A finished run of `atelier train` as a source: its model, its data set, and what it recorded."""

from __future__ import annotations

from pathlib import Path

from export.description import Description
from export.errors import ExportError, WrongUseError
from export.keras_model import KerasModel
from export.runtimes import KerasInMemory
from export.saved_model import make_servable
from export.sources.base import Examples, Original, Progress
from export.versions import is_model_name
from serving.bundle import Provenance, TrainingFacts, file_sha256
from serving.signatures import DEFAULT_SIGNATURE
from training.datasets import Dataset, load_dataset
from training.datasets.base import LoadOptions
from training.environment import quiet_tensorflow
from training.run import MODEL, Run, RunConfig

FOLDER_DATASET = "folder"
"""The data set that is any user's own images, whose name says nothing."""


class RunSource:
    """A run folder; its data set is looked for in `data_dir` first, or where the run found it when that is None."""

    def __init__(self, run: Run, data_dir: Path | None = None) -> None:
        self._run = run
        found_in = run.config.data_dir
        self._data_dir = data_dir if data_dir is not None or found_in is None else Path(found_in)

    @property
    def name(self) -> str:
        """As `model_name` has it."""
        return model_name(self._run.config.dataset, self._data_dir)

    def load(self, progress: Progress) -> Original:
        """Loads the data set first, which is the one that the run was trained on, and then the model."""
        progress("loading the run and its data set")
        quiet_tensorflow()
        config = self._run.config
        dataset = _load_dataset(config, self._data_dir)
        description = described_in(config)
        trained = self._run.load_model()
        servable = make_servable(trained, description)
        return Original(
            title=config.recipe,
            description=description,
            model=KerasModel(servable),
            in_memory=KerasInMemory(trained, servable.signatures[DEFAULT_SIGNATURE]),
            provenance=Provenance(kind="run", file=MODEL, sha256=file_sha256(self._run.model_path)),
            training=facts_of(config),
            examples=Examples(dataset, config.metric, self._run.metrics.value),
        )


def described_in(config: RunConfig) -> Description:
    """What the run's model is for."""
    return Description(config.task, config.labels, config.image)


def model_name(dataset: str, data_dir: Path | None) -> str:
    """What a model is called unless told otherwise: as its data set, or as the folder of a user's own images.

    Raises:
        WrongUseError: the folder's name cannot be a model's name.
    """
    if dataset != FOLDER_DATASET or data_dir is None:
        return dataset
    name = data_dir.resolve().name.partition(".")[0]  # of photos.tar.gz, photos
    if not is_model_name(name):
        raise WrongUseError(
            f"the model would be called {name!r} after its folder of images {data_dir}, "
            "which is no name for a model: give it one with --name"
        )
    return name


def _load_dataset(config: RunConfig, data_dir: Path | None) -> Dataset:
    dataset = load_dataset(config.dataset, LoadOptions(data_dir=data_dir, image=config.image))
    if dataset.sha256 != config.dataset_sha256:
        raise ExportError(
            f"{config.dataset} from {dataset.source} is not the data that the run was trained on: "
            f"expected checksum {config.dataset_sha256[:12]}…, received {dataset.sha256[:12]}…"
        )
    return dataset


def facts_of(config: RunConfig) -> TrainingFacts:
    """What a manifest says of the training."""
    return TrainingFacts(
        recipe=config.recipe,
        dataset=config.dataset,
        dataset_sha256=config.dataset_sha256,
        seed=config.training.seed,
        epochs=config.training.epochs,
        git_revision=config.git_revision,
        library_versions=config.library_versions,
    )
