"""Looking at published versions: where they are, and whether their files are still what was published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from export.errors import WrongUseError
from export.versions import published_versions
from serving.bundle import MANIFEST, ONNX_MODEL, SAVED_MODEL, read_manifest, verify_files
from serving.errors import BundleError


@dataclass(frozen=True)
class Check:
    """The outcome for one version: `reason` says what does not fit, None when everything does."""

    path: Path
    files: int
    size_bytes: int
    reason: str | None


def version_folders(path: Path) -> list[Path]:
    """The version that `path` is, or the versions of the model whose folder it is, oldest first.

    Raises:
        WrongUseError: it is neither.
    """
    if any((path / name).is_file() for name in (MANIFEST, ONNX_MODEL, SAVED_MODEL)):
        return [path]
    # Servers pass over numbers with leading zeros, and so does this.
    versions = [path / str(number) for number in published_versions(path) if (path / str(number)).is_dir()]
    if not versions:
        problem = "there is no model in it" if path.is_dir() else "there is no such folder"
        raise WrongUseError(f"{path} is neither a version nor a model's folder of versions: {problem}")
    return versions


def check_version(version_dir: Path) -> Check:
    """Holds every file of the version against its manifest."""
    try:
        manifest = read_manifest(version_dir)
        if manifest is None:
            return Check(version_dir, 0, 0, f"there is no {MANIFEST} to hold the files against")
        verify_files(version_dir, manifest)
    except (BundleError, OSError) as error:
        return Check(version_dir, 0, 0, str(error))
    sizes = [record.size_bytes for record in manifest.files.values()]
    return Check(version_dir, len(sizes), sum(sizes), None)
