"""TensorFlow Serving joins the benchmark where it is installed; here a stand-in has its name and flags."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks import tfserving
from benchmarks.random_models import write_random_cnn, write_random_mlp
from benchmarks.servers import StartError
from benchmarks.tfserving import contestants, upstream_name

BINARY = """#!{python}
import os, sys
flags = dict(flag.lstrip("-").split("=", 1) for flag in sys.argv[1:] if "=" in flag)
known = {{"port", "model_config_file", "batching_parameters_file"}}
assert set(flags) <= known and ("--enable_batching" in sys.argv) == ("batching_parameters_file" in flags), sys.argv
places = ["--model-config-file", flags["model_config_file"], "--port", flags["port"]]
os.execv(sys.executable, [sys.executable, "-m", "tests.support.tfserving_standin", *places])
"""


@pytest.fixture
def binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "bin" / "tensorflow_model_server"
    script.parent.mkdir()
    script.write_text(BINARY.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")


def test_without_it_there_are_no_contestants_and_a_stand_in_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("TFSERVING_ADDRESS", raising=False)
    assert contestants() == {}
    assert upstream_name() == "TF Serving stand-in"


@pytest.mark.usefixtures("binary")
def test_on_the_path_it_joins_with_the_same_weights_as_a_saved_model(tmp_path: Path) -> None:
    model = write_random_mlp(tmp_path / "models")
    assert upstream_name() == "TensorFlow Serving"
    found = contestants()
    assert list(found) == ["TensorFlow Serving", "TensorFlow Serving, batching"]
    with found["TensorFlow Serving, batching"](model) as entrant:
        entrant.check()
        assert entrant.used is not None
        assert entrant.used().resident_bytes > 1e6


@pytest.mark.usefixtures("binary")
def test_a_model_without_a_saved_model_is_said_to_be_missing(tmp_path: Path) -> None:
    model = write_random_cnn(tmp_path / "models")
    with (
        pytest.raises(StartError, match="cnn has no SavedModel"),
        contestants()["TensorFlow Serving"](model),
    ):
        pass


def test_a_server_elsewhere_joins_by_its_address_but_its_processes_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_random_mlp(tmp_path / "models")
    with tfserving.running(model, batching=False) as (_, port):
        monkeypatch.setenv("TFSERVING_ADDRESS", f"127.0.0.1:{port}")
        with contestants()[f"TensorFlow Serving at 127.0.0.1:{port}"](model) as entrant:
            entrant.check()
            assert entrant.used is None
