"""Any TensorFlow SavedModel as a source: copied as it is, with an ONNX file of its `serving_default` beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.description import Description
from export.errors import ExportError
from export.onnx_beside import OnnxPolicy, write_onnx_beside
from export.saved_model_file import SavedModelFacts, read_saved_model
from export.saved_model_loading import load_saved_model
from export.sources.base import Original, Progress
from export.sources.files import check_fit, name_of, provenance_of, write_labels
from serving.bundle import read_labels, read_manifest
from serving.bundle_files import SAVED_MODEL
from serving.signatures import DEFAULT_SIGNATURE, Signature
from training.environment import quiet_tensorflow

if TYPE_CHECKING:
    import tensorflow as tf

PARTS = (SAVED_MODEL, "fingerprint.pb", "keras_metadata.pb", "variables", "assets", "assets.extra", "debug")
"""What TensorFlow writes; whatever else lies in the folder is not the model's."""


class SavedModelSource:
    """A folder, and what its user says of it; what he does not say is as its manifest has it, if it has one."""

    def __init__(self, folder: Path, given: Description, *, onnx: OnnxPolicy = "wanted") -> None:
        self._folder = folder
        self._given = given
        self._onnx = onnx

    @property
    def name(self) -> str:
        """The folder's, or for a version's folder its model's."""
        resolved = self._folder.resolve()
        return name_of(resolved.parent if resolved.name.isdigit() else resolved)

    def load(self, progress: Progress) -> Original:
        """Reads what it says of itself, and has TensorFlow load it."""
        progress("loading the SavedModel")
        facts = read_saved_model(self._folder)
        signature = _default(facts, self._folder)
        description = self._given.or_else(_described_in(self._folder))
        check_fit(description, signature)
        quiet_tensorflow()
        return Original(
            title=self.name,
            description=description,
            model=_SavedModelFolder(self._folder, facts, load_saved_model(self._folder), self._onnx),
            provenance=provenance_of(self._folder / SAVED_MODEL, "saved_model"),
        )


class _SavedModelFolder:
    def __init__(self, folder: Path, facts: SavedModelFacts, loaded: Any, onnx: OnnxPolicy) -> None:
        self._folder = folder
        self._loaded = loaded
        self._onnx = onnx
        self.signatures = facts.signatures

    def write(self, bundle: Path, original: Original, progress: Progress) -> tuple[str, ...]:
        """Copies the folder's parts, byte for byte, and converts."""
        progress("copying the SavedModel")
        for part in PARTS:
            path = self._folder / part
            if path.is_dir():
                shutil.copytree(path, bundle / part)
            elif path.is_file():
                shutil.copyfile(path, bundle / part)
        write_labels(original.description, bundle)
        function = _as_function(self._loaded.signatures[DEFAULT_SIGNATURE], self.signatures[DEFAULT_SIGNATURE])
        return write_onnx_beside(function, bundle, original, self._onnx, progress)


def _default(facts: SavedModelFacts, folder: Path) -> Signature:
    if DEFAULT_SIGNATURE in facts.signatures:
        return facts.signatures[DEFAULT_SIGNATURE]
    if DEFAULT_SIGNATURE in facts.unreadable:
        raise ExportError(f"the signature {DEFAULT_SIGNATURE} cannot be served: {facts.unreadable[DEFAULT_SIGNATURE]}")
    names = ", ".join([*facts.signatures, *facts.unreadable]) or "none"
    raise ExportError(f"{folder} has no signature {DEFAULT_SIGNATURE}: received {names}")


def _described_in(folder: Path) -> Description:
    manifest = read_manifest(folder)
    if manifest is None:
        return Description(labels=read_labels(folder, None))
    return Description(manifest.task, manifest.labels, manifest.image)


def _as_function(signature_function: Any, signature: Signature) -> Any:
    """A `tf.function` with an input signature: what TensorFlow loads has none, and TensorFlow 1's takes no others."""
    import tensorflow as tf

    specs = [tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in signature.inputs]

    @tf.function(input_signature=specs)  # type: ignore[untyped-decorator]
    def serving_default(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        answer = signature_function(**{spec.name: tensor for spec, tensor in zip(specs, tensors, strict=True)})
        return {spec.name: answer[spec.name] for spec in signature.outputs}

    return serving_default
