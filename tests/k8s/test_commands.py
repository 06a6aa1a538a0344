"""What containers of our own images are told to run is what their commands understand."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import yaml

from tests.support.cluster_jobs import load_job
from tests.support.manifests import ROOT, Manifest, pods
from training.recipes import RECIPES

BIN = Path(sys.prefix) / "bin"


def test_locust_knows_every_option(manifests: tuple[Manifest, ...]) -> None:
    for arguments in _arguments(manifests, "atelier/loadtest"):
        _check_locust(*arguments)


def test_locust_knows_every_option_of_compose_and_of_the_end_to_end_test() -> None:
    _check_locust(*yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["loadtest"]["command"])
    job = load_job("load", host="http://gateway:8501", model="digits", seconds=10)
    _check_locust(*job["spec"]["template"]["spec"]["containers"][0]["args"])


def test_atelier_knows_every_command(manifests: tuple[Manifest, ...]) -> None:
    for command, *arguments in _arguments(manifests, "atelier/training"):
        assert command in {"train", "export"}
        assert _options(arguments) <= _known(str(BIN / "atelier"), command)
        if command == "train":
            assert arguments[0] in RECIPES


@cache
def _check_locust(*arguments: str) -> None:
    """Locust parses all of it before it shows how often which task would be done, and ends."""
    locustfile = ROOT / "loadtest" / "locustfile.py"
    command = [BIN / "locust", "-f", locustfile, *arguments, "--show-task-ratio-json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def _arguments(manifests: tuple[Manifest, ...], image: str) -> list[list[str]]:
    containers = [container for pod in pods(manifests) for _, container in pod.containers()]
    return [each["args"] for each in containers if each["image"].startswith(f"{image}:")]


def _options(arguments: list[str]) -> set[str]:
    return {each.split("=")[0] for each in arguments if each.startswith("--")}


@cache
def _known(*command: str) -> set[str]:
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=300, check=True)
    return set(re.findall(r"--[a-z][a-z-]+", done.stdout))
