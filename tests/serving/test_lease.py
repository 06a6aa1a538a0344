"""A loaded version says that it is in use; one that is being removed is not loaded."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from serving.errors import BundleError
from serving.model_config import ModelConfig
from serving.repository.lease import Lease
from serving.repository.loader import LoadOptions, load_version
from tests.support.bundles import write_bundle

CONFIG = ModelConfig(base_path="/")


def is_held(version_dir: Path) -> bool:
    descriptor = os.open(version_dir, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_a_version_is_held_from_its_loading_until_it_is_closed(tmp_path: Path) -> None:
    version_dir = write_bundle(tmp_path / "1")
    loaded = load_version(version_dir, CONFIG, LoadOptions(onnx_threads=1))
    other = Lease.take(version_dir)
    assert loaded.lease is not None

    assert is_held(version_dir)
    other.close()
    assert is_held(version_dir)
    loaded.lease.close()
    loaded.lease.close()
    assert not is_held(version_dir)
    loaded.backend.close()


def test_a_version_that_cannot_be_loaded_is_not_held(tmp_path: Path) -> None:
    version_dir = write_bundle(tmp_path / "1")
    (version_dir / "model.onnx").write_bytes(b"damaged")

    with pytest.raises(BundleError, match="has 7 bytes"):
        load_version(version_dir, CONFIG, LoadOptions(onnx_threads=1))
    assert not is_held(version_dir)


def test_a_version_that_is_being_removed_is_not_loaded(tmp_path: Path) -> None:
    version_dir = write_bundle(tmp_path / "1")
    remover = os.open(version_dir, os.O_RDONLY)
    fcntl.flock(remover, fcntl.LOCK_EX)

    with pytest.raises(BundleError, match="the version is being removed"):
        load_version(version_dir, CONFIG, LoadOptions(onnx_threads=1))
    os.close(remover)
    with pytest.raises(BundleError, match="cannot be read: No such file or directory"):
        load_version(tmp_path / "2", CONFIG, LoadOptions(onnx_threads=1))


def test_where_folders_cannot_be_locked_versions_are_served_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)

    Lease.take(tmp_path).close()
