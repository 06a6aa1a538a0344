"""The one use case: a trained run becomes a published version, if every runtime answers alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from export.errors import ExportError, WrongUseError
from export.evidence import Evidence, gather_evidence
from export.onnx_model import write_onnx
from export.parity import Limits
from export.publish import check_target, is_model_name, stage
from export.saved_model import Servable, make_servable, write_saved_model
from serving.bundle import ONNX_MODEL, Manifest, TrainingFacts, record_files
from serving.errors import BundleError
from serving.signatures import DEFAULT_SIGNATURE
from training.datasets import Dataset, load_dataset
from training.datasets.base import LoadOptions
from training.environment import quiet_tensorflow
from training.run import Run, RunConfig

FOLDER_DATASET = "folder"
"""The data set that is any user's own images, whose name says nothing."""

Progress = Callable[[str], None]
"""Called with what is about to be done."""


class ParityError(ExportError):
    """The runtimes do not answer alike, or not like the model that was trained; nothing was published."""

    def __init__(self, reason: str, evidence: Evidence) -> None:
        super().__init__(f"nothing was published: {reason}")
        self.evidence = evidence


@dataclass(frozen=True)
class Exported:
    """A published version and the evidence for it."""

    path: Path
    version: int
    manifest: Manifest
    evidence: Evidence


def export_run(
    run: Run,
    models_dir: Path,
    *,
    name: str | None = None,
    version: int | None = None,
    data_dir: Path | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    progress: Progress = lambda _: None,
) -> Exported:
    """Writes every target of the run into a staged bundle, proves them equal, and publishes it.

    Args:
        run: the finished training.
        models_dir: the repository's root; made where it does not exist.
        name: the model's name in the repository; `model_name` when None.
        version: the number to publish as; the next free one when None.
        data_dir: where to look for the data set first; where the run found it when None.
        limits: how far the runtimes may differ.
        progress: told about each step.

    Raises:
        ParityError: refused; nothing is left in the repository.
        WrongUseError: no model's name, or a version that exists.
        ExportError: the model cannot be exported, the data set is another one, or the disk refuses.
        TrainingError: the run's model or data set cannot be loaded.
    """
    data_dir = data_dir if data_dir is not None else _data_dir(run.config)
    name = name if name is not None else model_name(run.config.dataset, data_dir)
    check_target(models_dir, name, version)
    try:
        with stage(models_dir, name) as staging:
            progress("loading the run and its data set")
            quiet_tensorflow()
            dataset = _load_dataset(run.config, data_dir)
            servable = make_servable(run.load_model(), run.config)
            _write_models(run.config, servable, staging.bundle, progress)
            split_name, split = dataset.evaluation
            progress(f"comparing the runtimes on the {split_name} split of {len(split):,}")
            evidence = gather_evidence(staging.bundle, servable.signatures[DEFAULT_SIGNATURE], dataset, run)
            reason = evidence.refusal(limits)
            if reason is not None:
                raise ParityError(reason, evidence)
            progress("publishing")
            manifest = _make_manifest(name, run.config, servable, evidence, staging.bundle)
            manifest.write(staging.bundle)
            path = staging.publish(version)
    except OSError as error:
        raise ExportError(f"{error.filename or models_dir} cannot be written: {error.strerror or error}") from error
    except BundleError as error:
        raise ExportError(f"nothing was published: the written bundle is damaged: {error}") from error
    return Exported(path, int(path.name), manifest, evidence)


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


def _data_dir(config: RunConfig) -> Path | None:
    return None if config.data_dir is None else Path(config.data_dir)


def _load_dataset(config: RunConfig, data_dir: Path | None) -> Dataset:
    dataset = load_dataset(config.dataset, LoadOptions(data_dir=data_dir, image=config.image))
    if dataset.sha256 != config.dataset_sha256:
        raise ExportError(
            f"{config.dataset} from {dataset.source} is not the data that the run was trained on: "
            f"expected checksum {config.dataset_sha256[:12]}…, received {dataset.sha256[:12]}…"
        )
    return dataset


def _write_models(config: RunConfig, servable: Servable, bundle: Path, progress: Progress) -> None:
    progress("writing the SavedModel")
    write_saved_model(servable, config.labels, bundle)
    progress("converting to ONNX")
    write_onnx(
        servable.functions[DEFAULT_SIGNATURE],
        servable.signatures[DEFAULT_SIGNATURE],
        bundle / ONNX_MODEL,
        name=config.recipe,
        metadata={
            "task": config.task,
            "labels": config.labels,
            "image": None if config.image is None else asdict(config.image),
            "recipe": config.recipe,
            "dataset": config.dataset,
            "dataset_sha256": config.dataset_sha256,
            "seed": config.training.seed,
            "git_revision": config.git_revision,
        },
    )


def _make_manifest(name: str, config: RunConfig, servable: Servable, evidence: Evidence, bundle: Path) -> Manifest:
    return Manifest(
        name=name,
        task=config.task,
        labels=config.labels,
        signatures=dict(servable.signatures),
        image=config.image,
        training=TrainingFacts(
            recipe=config.recipe,
            dataset=config.dataset,
            dataset_sha256=config.dataset_sha256,
            seed=config.training.seed,
            epochs=config.training.epochs,
            git_revision=config.git_revision,
            library_versions=config.library_versions,
        ),
        metrics={evidence.metric: evidence.value},
        parity=(evidence.parity,),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        files=record_files(bundle),
    )
