"""The one use case: a trained run becomes a published version, if every runtime answers alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from export.errors import ExportError
from export.onnx_model import write_onnx
from export.parity import (
    Comparison,
    Limits,
    accuracy,
    accuracy_refusal,
    all_inputs,
    compare,
    refusal,
)
from export.publish import check_target, stage
from export.runtimes import OnnxRuntime, TensorFlowRuntime, answers, batches, probes
from export.saved_model import Servable, make_servable, write_saved_model
from serving.bundle import ONNX_MODEL, Manifest, Parity, TrainingFacts, record_files
from serving.errors import BundleError
from serving.signatures import DEFAULT_SIGNATURE
from training.datasets import Dataset, load_dataset
from training.environment import quiet_tensorflow
from training.run import Run, RunConfig

TEST_SPLIT = "test split"
ACCURACY = "accuracy"

Progress = Callable[[str], None]
"""Called with what is about to be done."""


@dataclass(frozen=True)
class Evidence:
    """What the gate saw: figures by kind of input and over all, and every runtime's accuracy on the tests."""

    comparisons: tuple[Comparison, ...]
    parity: Parity
    accuracies: dict[str, float]
    recorded_accuracy: float
    examples: int

    def refusal(self, limits: Limits) -> str | None:
        """Why the bundle must not be published, or None."""
        reasons = [refusal(self.parity, limits)] + [
            accuracy_refusal(measured, self.recorded_accuracy, self.examples) for measured in self.accuracies.values()
        ]
        return next((reason for reason in reasons if reason is not None), None)


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
        name: the model's name in the repository; the name of the run's data set when None.
        version: the number to publish as; the next free one when None.
        data_dir: where to look for the data set first.
        limits: how far the runtimes may differ.
        progress: told about each step.

    Raises:
        ParityError: refused; nothing is left in the repository.
        WrongUseError: no model's name, or a version that exists.
        ExportError: the model cannot be exported, the data set is another one, or the disk refuses.
        TrainingError: the run's model or data set cannot be loaded.
    """
    name = name if name is not None else run.config.dataset
    check_target(models_dir, name, version)
    try:
        with stage(models_dir, name) as staging:
            progress("loading the run and its data set")
            quiet_tensorflow()
            dataset = _load_dataset(run.config, data_dir)
            servable = make_servable(run.load_model(), run.config.image, run.config.labels)
            _write_models(run.config, servable, staging.bundle, progress)
            progress(f"comparing the runtimes on the {len(dataset.test):,} test images")
            evidence = gather_evidence(staging.bundle, servable, dataset, recorded_accuracy=run.metrics.test_accuracy)
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


def gather_evidence(bundle: Path, servable: Servable, dataset: Dataset, *, recorded_accuracy: float) -> Evidence:
    """Runs the bundle's files on the whole test split and on the probes, one runtime after the other."""
    signature = servable.signatures[DEFAULT_SIGNATURE]
    (pixels,), (scores,) = signature.inputs, signature.outputs
    inputs = {TEST_SPLIT: list(batches(dataset.test.inputs)), **probes(dataset.test.inputs.shape[1:])}
    by_runtime: dict[str, dict[str, np.ndarray]] = {}
    for kind in (TensorFlowRuntime, OnnxRuntime):
        runtime = kind(bundle, pixels, scores)
        by_runtime[runtime.name] = {title: answers(runtime, arrays) for title, arrays in inputs.items()}
    reference, candidate = by_runtime[TensorFlowRuntime.name], by_runtime[OnnxRuntime.name]
    return Evidence(
        comparisons=tuple(Comparison(title, compare(reference[title], candidate[title])) for title in inputs),
        parity=all_inputs([(reference[title], candidate[title]) for title in inputs]),
        accuracies={
            runtime_name: accuracy(found[TEST_SPLIT], dataset.test.targets)
            for runtime_name, found in by_runtime.items()
        },
        recorded_accuracy=recorded_accuracy,
        examples=len(dataset.test),
    )


def _load_dataset(config: RunConfig, data_dir: Path | None) -> Dataset:
    dataset = load_dataset(config.dataset, data_dir)
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
            "image": asdict(config.image),
            "recipe": config.recipe,
            "dataset": config.dataset,
            "dataset_sha256": config.dataset_sha256,
            "seed": config.seed,
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
            seed=config.seed,
            epochs=config.epochs,
            git_revision=config.git_revision,
            library_versions=config.library_versions,
        ),
        metrics={ACCURACY: evidence.accuracies[TensorFlowRuntime.name]},
        parity=(evidence.parity,),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        files=record_files(bundle),
    )
