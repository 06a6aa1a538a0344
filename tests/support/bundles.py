"""Whole bundles, with a manifest that fits."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from onnx import TensorProto

from serving.bundle import Manifest, record_files
from serving.images import ImageSpec
from serving.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, REGRESS_METHOD, Signature, TensorSpec
from tests.support.onnx_models import LABELS, write_brightness_model, write_identity_model, write_linear_model

SIGNATURE = Signature((TensorSpec("pixels", "uint8", (None, 2, 2)),), (TensorSpec("scores", "float32", (None, 3)),))

REGRESSION = Signature(
    (TensorSpec("features", "float32", (None, 1)),), (TensorSpec("predictions", "float32", (None, 1)),)
)

EXAMPLES = TensorSpec("inputs", "string", (None,))

CLASSIFIER_SIGNATURES = {
    DEFAULT_SIGNATURE: SIGNATURE,
    "image_bytes": Signature((TensorSpec("image_bytes", "string", (None,)),), SIGNATURE.outputs),
    "classify": Signature(
        (EXAMPLES,), (TensorSpec("classes", "string", (None, 3)), *SIGNATURE.outputs), CLASSIFY_METHOD
    ),
}
"""What export declares for every classifier."""

REGRESSION_SIGNATURES = {
    DEFAULT_SIGNATURE: REGRESSION,
    "regress": Signature((EXAMPLES,), (TensorSpec("outputs", "float32", (None, 1)),), REGRESS_METHOD),
}
"""What export declares for every regression."""


def write_bundle(version_dir: Path, *, scale: float = 1.0) -> Path:
    """The brightness model as a bundle; the folder appears in one moment, as when it is published."""
    building = version_dir.parent / f".building-{version_dir.name}"
    write_brightness_model(building, scale=scale)
    _describe(building, CLASSIFIER_SIGNATURES, LABELS)
    building.rename(version_dir)
    return version_dir


def write_many_classes(version_dir: Path, classes: int) -> Path:
    """A classifier of 2x2 images as a bundle: the score of class `c` is the image's first pixel times `c`."""
    pixels = TensorSpec("pixels", "uint8", (None, 2, 2))
    scores = TensorSpec("scores", "float32", (None, classes))
    weights = np.zeros((4, classes), np.float32)
    weights[0] = np.arange(classes)
    write_linear_model(version_dir, weights)
    labels = tuple(f"class {index}" for index in range(classes))
    _describe(version_dir, {DEFAULT_SIGNATURE: Signature((pixels,), (scores,))}, labels)
    return version_dir


def write_regression(version_dir: Path) -> Path:
    """`predictions` are the `features`, unchanged: a regression as a bundle."""
    write_identity_model(version_dir, TensorProto.FLOAT, ["batch", 1], names=("features", "predictions"))
    _describe(version_dir, REGRESSION_SIGNATURES)
    return version_dir


def _describe(version_dir: Path, signatures: Mapping[str, Signature], labels: tuple[str, ...] = ()) -> None:
    """Writes the manifest: of a classifier of 2x2 images where there are labels, else of a regression."""
    Manifest(
        name=version_dir.parent.name,
        task="classification" if labels else "regression",
        labels=labels,
        signatures=signatures,
        image=ImageSpec(height=2, width=2, colour="grayscale") if labels else None,
        training=None,
        metrics={},
        parity=(),
        created_at="2026-01-01T00:00:00+00:00",
        files=record_files(version_dir),
    ).write(version_dir)


def damage(version_dir: Path) -> None:
    """Changes one byte of the model, as a bad disk would."""
    path = version_dir / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def remove(version_dir: Path) -> None:
    """Deletes a version."""
    shutil.rmtree(version_dir)
