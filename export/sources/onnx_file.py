"""Any ONNX file as a source: copied as it is, with the files that hold its weights."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from export.description import Description
from export.errors import ExportError, first_line
from export.onnx_file import OnnxFacts, read_onnx
from export.sources.base import Original, Progress
from export.sources.files import check_fit, name_of, provenance_of, write_labels
from serving.bundle_files import MANIFEST, ONNX_MODEL, PARITY_REPORT
from serving.signatures import DEFAULT_SIGNATURE, Signature

WRITTEN_LATER = (MANIFEST, PARITY_REPORT)


class OnnxFileSource:
    """A file, and what its user says of it; what he does not say is as Atelier noted it in the file, if it did."""

    def __init__(self, path: Path, given: Description = Description()) -> None:  # noqa: B008 - frozen
        self._path = path
        self._given = given

    @property
    def name(self) -> str:
        """The file's, or for `model.onnx` its folder's."""
        return name_of(self._path.resolve().parent if self._path.name == ONNX_MODEL else self._path)

    def load(self, progress: Progress) -> Original:
        """Reads the file and has ONNX's own checker look at it."""
        import onnx

        progress("checking the ONNX file")
        facts = read_onnx(self._path)
        try:
            onnx.checker.check_model(str(self._path), full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ExportError(f"{self._path} is not valid ONNX: {first_line(error)}") from error
        description = self._given.or_else(facts.description)
        check_fit(description, facts.signature)
        return Original(
            title=self._path.stem,
            description=description,
            model=_OnnxFile(self._path, facts),
            provenance=provenance_of(self._path, "onnx"),
        )


class _OnnxFile:
    def __init__(self, path: Path, facts: OnnxFacts) -> None:
        self._path = path
        self._data_files = facts.data_files
        self.signatures: Mapping[str, Signature] = {DEFAULT_SIGNATURE: facts.signature}

    def write(self, bundle: Path, original: Original, progress: Progress) -> tuple[str, ...]:
        """Copies the files, byte for byte."""
        progress("copying the ONNX file")
        shutil.copyfile(self._path, bundle / ONNX_MODEL)
        for name in self._data_files:
            target = bundle / name
            if target.exists() or name in WRITTEN_LATER:
                raise ExportError(f"{self._path} keeps weights in {name}, a name that the bundle needs itself")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._path.parent / name, target)
        write_labels(original.description, bundle)
        return ()
