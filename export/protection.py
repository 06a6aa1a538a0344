"""Which versions somebody counts on: those that a label names, and those that a server is configured to serve."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from export.errors import ExportError, WrongUseError
from export.repository_files import MODELS_CONFIG
from serving.traffic.files import TRAFFIC, read_ledger
from serving.traffic.ledger import ways_back
from serving.version_labels import VERSION_LABELS

Reasons = Mapping[int, tuple[str, ...]]
"""Why a version is needed, by its number; a version without reasons is not in it."""


def needed_versions(model_dir: Path, versions: Collection[int], model_config_files: Collection[Path] = ()) -> Reasons:
    """What labels and configurations say about a model.

    Args:
        model_dir: the model's folder; the repository's `models.config` beside it is read where it is there.
        versions: the versions that are there.
        model_config_files: configurations of TensorFlow Serving that lie elsewhere.

    Raises:
        BundleError: a file of labels, traffic or their changes holds something else.
        ExportError: a configuration cannot be understood; what it protects is unknown then.
        WrongUseError: one of `model_config_files` is not there.
    """
    reasons: dict[int, tuple[str, ...]] = {}
    beside = model_dir.parent / MODELS_CONFIG
    ledger = read_ledger(model_dir)
    targets = ledger.traffic.targets if ledger.traffic is not None else frozenset()
    found = [
        *((version, f"label {label} in {VERSION_LABELS}") for label, version in ledger.labels.items()),
        *((version, f"label {label} rolls back to it") for label, version in ways_back(ledger).items()),
        *((int(target), f"named in {TRAFFIC}") for target in targets if target.isdigit()),
        *_configured(beside, model_dir, versions, must_exist=False),
        *(need for file in model_config_files for need in _configured(file, model_dir, versions, must_exist=True)),
    ]
    for version, reason in found:
        if version in versions:
            reasons[version] = (*reasons.get(version, ()), reason)
    return reasons


def _configured(
    file: Path, model_dir: Path, versions: Collection[int], *, must_exist: bool
) -> Iterator[tuple[int, str]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) and not must_exist:
            return
        raise WrongUseError(f"{file} is no configuration of TensorFlow Serving that can be read") from error
    for config in _parse(text, file).model_config_list.config:
        if model_dir.name not in {config.name, PurePosixPath(config.base_path).name}:
            continue
        for label, version in config.version_labels.items():
            yield version, f"label {label} in {file.name}"
        policy = config.model_version_policy
        if policy.HasField("specific"):
            wanted = list(policy.specific.versions)
        elif policy.HasField("all"):
            wanted = list(versions)
        else:
            wanted = sorted(versions)[-(policy.latest.num_versions or 1) :]
        yield from ((version, f"served by {file.name}") for version in wanted)


def _parse(text: str, file: Path) -> Any:
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    try:
        return text_format.Parse(text, ModelServerConfig())
    except text_format.ParseError as error:
        raise ExportError(f"{file} cannot be understood, so what it protects is unknown: {error}") from error
