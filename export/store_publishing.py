"""Publishing into a store, which has no rename: upload and check out of sight, decide, and only then show.

NAME/.publishing-ID/bundle/    the uploaded version
NAME/.publishing-ID/number     the number that its publisher asks for
NAME/.versions/7               who got number 7: from here on the version is decided, see claims.py
NAME/7/                        the version: first what it consists of, then saved_model.pb, manifest.json last

So a folder with saved_model.pb is whole for TensorFlow Serving, and one with manifest.json for everybody. A publisher
that dies undecided leaves a prefix that no server looks at; after a day the next publisher removes it. Of one that
dies later the next one copies the rest at once. Copying twice does no harm, so nobody has to know whether the other
one still lives.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from export.claims import can_refuse, claim, claimed_numbers, owner_of
from export.errors import ExportError, WrongUseError
from export.location import store_sentences
from export.removal import finish_removals_in
from export.staging import BUNDLE, STAGING_PREFIX, staging_folder, verified_manifest
from export.store import Store
from export.versions import is_number, is_taken, next_version, numbers_among
from serving.bundle import Manifest, read_manifest, verify_files
from serving.bundle_files import MANIFEST, SAVED_MODEL
from serving.errors import BundleError

NUMBER = "number"
PROBE = "probe"
COPIED = "copied"
ABANDONED_AFTER_S = 24 * 3600.0
"""A day without a new object: no upload takes that long between two files."""


@dataclass(frozen=True)
class StoreStaging:
    """A folder of this machine to write the version into, which is then uploaded."""

    model_dir: Path
    bundle: Path

    def publish(self, version: int | None = None) -> Path:
        """Uploads, checks, claims a number and makes the version visible; see `export.publish.Staging`."""
        manifest = verified_manifest(self.bundle)
        store = Store(self.model_dir)
        staged = f"{STAGING_PREFIX}{uuid.uuid4().hex}"
        with store_sentences(self.model_dir):
            try:
                _upload(store, staged, self.bundle, manifest)
                number = _claim_number(store, staged, version)
            except BaseException:
                store.remove(staged)
                raise
            try:
                _make_visible(store, staged, number)
            except (Exception, KeyboardInterrupt) as error:
                raise ExportError(
                    f"version {number} of {self.model_dir.name} is uploaded, but not all of it is visible yet: "
                    f"the next export or `atelier prune {self.model_dir}` finishes it "
                    f"({str(error) or type(error).__name__})"
                ) from error
        return self.model_dir / str(number)


@contextmanager
def stage_in_store(model_dir: Path) -> Iterator[StoreStaging]:
    """Opens a staging folder on this machine, after finishing what dead publishers have left in the store."""
    with store_sentences(model_dir):
        recover(Store(model_dir))
    with staging_folder(_scratch_folder()) as bundle:
        yield StoreStaging(model_dir, bundle)


def is_claimed(model_dir: Path, version: int) -> bool:
    """Whether the number has been given, also where its version is not visible yet or no more."""
    return version in claimed_numbers(Store(model_dir))


def recover(store: Store) -> None:
    """Makes decided versions wholly visible, removes abandoned uploads, and finishes removals."""
    finish_removals_in(store)
    for name in store.children():
        if name.startswith(STAGING_PREFIX):
            number = _decided_number(store, name)
            if number is not None:
                _make_visible(store, name, number)
            elif store.age_s(name) > ABANDONED_AFTER_S:
                store.remove(name)


def _upload(store: Store, staged: str, bundle: Path, manifest: Manifest) -> None:
    """Uploads the bundle, its manifest last, reads it back, and tries to copy inside of the store.

    Raises:
        BundleError: what is in the store is not what was sent.
        ExportError: the store cannot copy.
    """
    source, received = f"{staged}/{BUNDLE}", bundle.with_name("received")
    store.upload({f"{source}/{name}": bundle / name for name in manifest.files})
    store.upload({f"{source}/{MANIFEST}": bundle / MANIFEST})
    store.download(source, [*manifest.files, MANIFEST], received)
    if read_manifest(received) != manifest:
        raise BundleError(f"{MANIFEST} came back from {store.root} as another one")
    verify_files(received, manifest)
    shutil.rmtree(received)
    try:
        store.copy([MANIFEST], source, f"{staged}/{COPIED}")
    except NotImplementedError as error:
        raise ExportError(f"{store.root}: this store cannot copy objects by itself, which publishing needs") from error


def _claim_number(store: Store, staged: str, version: int | None) -> int:
    """Raises: WrongUseError: the version is taken."""
    refuses = can_refuse(store, f"{staged}/{PROBE}")
    while True:
        published = numbers_among(store.children())
        number = next_version({*published, *claimed_numbers(store)}) if version is None else version
        store.write(f"{staged}/{NUMBER}", str(number).encode())
        if number not in published and claim(store, number, staged, refuses=refuses):
            return number
        if version is not None:
            raise is_taken(number, store.root)


def _decided_number(store: Store, staged: str) -> int | None:
    number = (store.read(f"{staged}/{NUMBER}") or b"").decode()
    return int(number) if is_number(number) and owner_of(store, int(number)) == staged else None


def _make_visible(store: Store, staged: str, number: int) -> None:
    """Copies the decided version to its number, what makes it loadable last; then removes the upload."""
    source, target = f"{staged}/{BUNDLE}", str(number)
    try:
        if store.read(f"{target}/{MANIFEST}") is None:
            _copy_in_order(store, source, target)
    except FileNotFoundError:
        # Somebody else has finished this version and removed the upload.
        if store.read(f"{target}/{MANIFEST}") is None:
            raise
    store.remove(source)
    store.remove(staged)  # the number last: it tells the next publisher what this is


def _copy_in_order(store: Store, source: str, target: str) -> None:
    manifest = read_manifest(store.root / source)
    if manifest is None:
        raise FileNotFoundError(f"{source}/{MANIFEST}")
    last = [name for name in (SAVED_MODEL,) if name in manifest.files]
    store.copy((name for name in manifest.files if name not in last), source, target)
    store.copy(last, source, target)
    sizes = store.sizes(target)
    for name, record in manifest.files.items():
        if sizes.get(name) != record.size_bytes:
            raise BundleError(
                f"{target}/{name} has {sizes.get(name, 0)} bytes, but {MANIFEST} expects {record.size_bytes}"
            )
    store.copy([MANIFEST], source, target)


def _scratch_folder() -> Path:
    """A folder for staging folders that nobody else can write to, though /tmp is everybody's.

    Raises:
        WrongUseError: another user has made it.
    """
    folder = Path(tempfile.gettempdir(), f"atelier-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.lstat().st_uid != os.getuid():
        raise WrongUseError(f"{folder} belongs to another user: set TMPDIR to a folder of your own")
    return folder
