"""A version that ends the process that loads it ends no second one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serving.backends.base import RemoteBackend
from serving.errors import BundleError
from serving.model_config import ModelConfig
from serving.repository.loader import Loaded
from serving.repository.local_source import LocalVersion
from serving.repository.source import Fingerprint, Origin
from serving.repository.trials import Trials, fatal_trials
from tests.support.repository_stand import Loads

CONFIG = ModelConfig(base_path="digits")
DIES = """
import os, sys
from pathlib import Path
from serving.model_config import ModelConfig
from serving.repository.local_source import LocalVersion
from serving.repository.trials import Trials
Trials(Path(sys.argv[1]), lambda *_: os._exit(3))(LocalVersion(Path(sys.argv[2])), ModelConfig(base_path="digits"))
"""


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def origin(tmp_path: Path) -> LocalVersion:
    folder = tmp_path / "digits" / "2"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"a model")
    return LocalVersion(folder)


def load_and_die(shared: Path, origin: LocalVersion) -> None:
    """In another process, which the version ends."""
    done = subprocess.run([sys.executable, "-c", DIES, str(shared), str(origin.folder)], check=False, timeout=120.0)
    assert done.returncode == 3


def test_a_version_that_has_ended_a_process_is_not_loaded(shared: Path, origin: LocalVersion) -> None:
    loads = Loads()
    trials = Trials(shared, loads)
    load_and_die(shared, origin)
    for _ in range(2):
        with pytest.raises(BundleError, match="a worker's process ended while it loaded this version"):
            trials(origin, CONFIG)
    assert loads.begun == []
    assert fatal_trials(shared) == 1


def test_it_is_loaded_once_its_files_have_changed(shared: Path, origin: LocalVersion) -> None:
    loads = Loads()
    load_and_die(shared, origin)
    (origin.folder / "model.onnx").write_bytes(b"a better model")
    assert Trials(shared, loads)(origin, CONFIG).backend is loads.backends["digits/2"]


def test_a_version_that_only_fails_may_be_loaded_again(shared: Path, origin: LocalVersion) -> None:
    (origin.folder / "broken").write_text("it is broken")
    loads = Loads()
    trials = Trials(shared, loads)
    for _ in range(2):
        with pytest.raises(BundleError, match="it is broken"):
            trials(origin, CONFIG)
    assert len(loads.begun) == 2
    assert fatal_trials(shared) == 0


def test_one_that_is_being_tried_has_not_ended_a_process_and_afterwards_loads_wait_for_none(
    shared: Path, origin: LocalVersion
) -> None:
    loads = Loads()
    seen = []

    def load(of: Origin, config: ModelConfig) -> Loaded:
        seen.append(fatal_trials(shared))
        return again(of, config) if len(seen) == 2 else loads(of, config)

    trials, again = Trials(shared, load), Trials(shared, loads)
    trials(origin, CONFIG)
    trials(origin, CONFIG)  # the second load holds nothing: another one goes on inside it
    assert seen == [0, 0]
    assert len(loads.begun) == 2


def test_what_another_server_runs_needs_no_trial(shared: Path, origin: LocalVersion) -> None:
    class Elsewhere:
        is_elsewhere = True
        version = 2

        def fingerprint(self) -> Fingerprint:
            raise AssertionError("nothing is written down of it")

        def load(self) -> RemoteBackend:
            raise AssertionError

    loaded = Loads().echo(origin.folder)
    assert Trials(shared, lambda *_: loaded)(Elsewhere(), CONFIG) is loaded


def test_a_disk_that_takes_nothing_keeps_no_version_from_being_loaded(
    shared: Path, origin: LocalVersion, caplog: pytest.LogCaptureFixture
) -> None:
    trials = Trials(shared, Loads())
    (shared / "trials").rmdir()
    assert trials(origin, CONFIG).labels == ()
    assert "without a trial: No such file or directory" in caplog.text
