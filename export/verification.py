"""Whether published versions are still what was published: their files, and on request their answers."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from export.errors import ExportError
from export.location import is_remote
from export.probes import probes
from export.runtimes import RUNTIMES, NoAnswerError, answers, is_present
from export.store import Store
from serving.bundle import Manifest, read_manifest, verify_files
from serving.bundle_files import MANIFEST, SAVED_MODEL
from serving.errors import BundleError
from serving.signatures import DEFAULT_SIGNATURE


@dataclass(frozen=True)
class Check:
    """The outcome for one version: `reason` says what does not fit, None when everything does.

    `runtimes` are those that loaded their file and answered, if they were asked.
    """

    path: Path
    files: int
    size_bytes: int
    reason: str | None
    runtimes: tuple[str, ...] = ()


def check_version(version_dir: Path, *, deep: bool = False) -> Check:
    """Holds every file of the version against its manifest.

    If `deep`, every runtime also loads its file and answers random or extreme inputs, as a server of this machine would
    have it do; from a store it is fetched first. That they answer alike was proven before they were published, and the
    checksums hold them to that.
    """
    if deep and is_remote(version_dir):
        return _check_fetched(version_dir)
    try:
        manifest = read_manifest(version_dir)
        if manifest is None:
            return Check(version_dir, 0, 0, f"there is no {MANIFEST} to hold the files against")
        verify_files(version_dir, manifest)
        runtimes = _run(version_dir, manifest) if deep else ()
    except (BundleError, ExportError, OSError) as error:
        return Check(version_dir, 0, 0, str(error))
    sizes = [record.size_bytes for record in manifest.files.values()]
    return Check(version_dir, len(sizes), sum(sizes), None, runtimes)


def _check_fetched(version_dir: Path) -> Check:
    """Runtimes read files of this machine only, so that what they run is what is checked."""
    store = Store(version_dir.parent)
    with tempfile.TemporaryDirectory(prefix="atelier-verify-") as scratch:
        fetched = Path(scratch)
        store.download(version_dir.name, store.sizes(version_dir.name), fetched)
        return replace(check_version(fetched, deep=True), path=version_dir)


def _run(version_dir: Path, manifest: Manifest) -> tuple[str, ...]:
    """The runtimes that loaded their file and answered.

    Raises:
        ExportError: one does not.
    """
    from training.environment import quiet_tensorflow

    if (version_dir / SAVED_MODEL).is_file():
        quiet_tensorflow()
    signature = manifest.signatures[DEFAULT_SIGNATURE]
    present = [kind for kind in RUNTIMES if is_present(kind, version_dir)]
    for kind in present:
        runtime, refusals = kind(version_dir, signature), []
        for given in probes(signature).values():
            try:
                answers(runtime, given)
                break
            except NoAnswerError as error:
                refusals.append(error)
        else:
            raise refusals[0]
    return tuple(kind.name for kind in present)
