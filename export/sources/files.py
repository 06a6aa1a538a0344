"""What the sources that are files have in common: a name, a provenance, and a description to fit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from export.description import Description
from export.errors import ExportError, WrongUseError
from export.saved_model import labels_text
from export.versions import is_model_name
from serving.bundle import Provenance, file_sha256
from serving.bundle_files import LABELS
from serving.signatures import Signature


def name_of(path: Path) -> str:
    """What the model is called unless told otherwise: as its file or folder, without an ending.

    Raises:
        WrongUseError: that cannot be a model's name.
    """
    resolved = path.resolve()
    name = resolved.stem if resolved.is_file() else resolved.name
    if not is_model_name(name):
        raise WrongUseError(
            f"the model would be called {name!r} after {path}, which is no name for a model: give it one with --name"
        )
    return name


def provenance_of(path: Path, kind: Literal["keras", "saved_model", "onnx"]) -> Provenance:
    """That of one file."""
    return Provenance(kind=kind, file=path.name, sha256=file_sha256(path))


def check_fit(description: Description, signature: Signature) -> None:
    """Holds a description against the model's `serving_default`.

    Raises:
        ExportError: they contradict each other.
    """
    misfit = description.misfit(signature)
    if misfit is not None:
        raise ExportError(misfit)


def write_labels(description: Description, bundle: Path) -> None:
    """Writes `assets/labels.txt` where there are labels, beside what the model brought.

    Raises:
        ExportError: the model brought others.
    """
    if not description.labels:
        return
    path, text = bundle / LABELS, labels_text(description.labels)
    path.parent.mkdir(exist_ok=True)
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace").splitlines() != text.splitlines():
        raise ExportError(f"the model has other labels in its own {LABELS}: expected the same, or no --labels")
    if not path.is_file():
        path.write_text(text, encoding="utf-8")
