"""Several processes, and several devices, train as one does."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import COMMAND, atelier
from tests.support.ports import free_ports
from tests.support.training_script import small_net
from tests.support.training_workers import ATTEMPTS, TIMEOUT_S, finished, read_until, started
from training.datasets import Dataset
from training.distribution import share_of
from training.pipeline import Share
from training.progress import Progress
from training.run import Run, read_run
from training.run_folder import is_interrupted
from training.trainer import train

TOLERANCE = 1e-3
DIGITS = (*COMMAND, "train", "digits-dense")
SCRIPT = (sys.executable, "-m", "tests.support.training_script")


def assert_same_curve(first: Run, second: Run) -> None:
    for one, other in zip(first.history.epochs, second.history.epochs, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=TOLERANCE)
        assert one.metric == pytest.approx(other.metric, abs=TOLERANCE)
        assert one.validation_loss == pytest.approx(other.validation_loss, abs=TOLERANCE)


@pytest.mark.parametrize(
    ("processes", "replicas", "shares"),
    [(1, 1, [(0, 1)]), (1, 2, [(0, 2)]), (2, 2, [(0, 1), (1, 2)]), (2, 6, [(0, 3), (3, 6)])],
)
def test_the_processes_shares_make_up_the_whole_batch(
    processes: int, replicas: int, shares: list[tuple[int, int]]
) -> None:
    import tensorflow as tf

    contexts = [tf.distribute.InputContext(processes, place, replicas) for place in range(processes)]

    assert [share_of(context) for context in contexts] == [Share(first, end, replicas) for first, end in shares]


def test_a_lost_worker_ends_the_chief_and_all_resumed_have_the_curve_of_one_process(
    short_run: Run, tmp_path: Path
) -> None:
    settings = short_run.config.training
    for attempt in range(ATTEMPTS):
        out = tmp_path / str(attempt)
        command = (*DIGITS, "--epochs", str(settings.epochs), "--seed", str(settings.seed), "--out", str(out))
        with started([command, command], free_ports(2)) as (chief, worker):
            read_until(chief, "epoch 1/3")
            worker.kill()
            _, said = chief.communicate(timeout=TIMEOUT_S)
        if chief.returncode != 0:  # else it had all that it needed of the worker before that was killed
            break
    assert chief.returncode == 1
    assert said.startswith("atelier: worker 0 lost the others (127.0.0.1:")
    assert said.endswith("start all of them again, with --resume to go on after the last saved epoch\n")
    assert is_interrupted(out)

    chief_end, worker_end = finished([(*command, "--resume")] * 2)
    assert (chief_end.returncode, worker_end.returncode) == (0, 0), chief_end.stderr + worker_end.stderr
    assert "epoch 3/3" in chief_end.stdout
    assert "epoch 1/3" not in chief_end.stdout
    lines = worker_end.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["worker 1, at 127.0.0.1", "worker 1"]
    assert lines[1].startswith("worker 1: done; the chief, at 127.0.0.1:")
    assert read_run(out).config.replicas == 2
    assert_same_curve(read_run(out), short_run)
    assert read_run(out).metrics.loss == pytest.approx(short_run.metrics.loss, abs=TOLERANCE)


def test_two_processes_and_two_devices_have_the_curve_of_one(
    digits: Dataset, tmp_path: Path, silence: Progress
) -> None:
    """Of a net with convolutions and batch normalization."""
    processes, devices = tmp_path / "processes", tmp_path / "devices"

    alone = train(small_net(), digits, out=tmp_path / "alone", progress=silence)
    for end in finished([(*SCRIPT, str(processes))] * 2):
        assert end.returncode == 0, end.stderr
    subprocess.run([*SCRIPT, str(devices), "2"], check=True, capture_output=True, timeout=TIMEOUT_S)

    for path in (processes, devices):
        assert read_run(path).config.replicas == 2
        assert_same_curve(read_run(path), alone)


def test_another_command_than_the_chief_s_is_refused_and_ends_both(tmp_path: Path) -> None:
    command = (*DIGITS, "--epochs", "3", "--out", str(tmp_path / "run"))

    chief, worker = finished([command, (*command[:-4], "--epochs", "4")])

    assert worker.returncode == 2
    assert worker.stderr == (
        "atelier: the chief has epochs 3, not 4: all processes need the same command, data and libraries\n"
    )
    assert chief.returncode == 1
    assert "worker 0 lost the others" in chief.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("interrupt", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_waits_for_others_can_be_interrupted(interrupt: signal.Signals, tmp_path: Path) -> None:
    command = (*DIGITS, "--out", str(tmp_path / "run"))

    with started([command], free_ports(2)) as (chief,):
        read_until(chief, "worker 0, at 127.0.0.1:")
        chief.send_signal(interrupt)
        _, said = chief.communicate(timeout=TIMEOUT_S)

    assert chief.returncode == 130
    assert said == "atelier: interrupted; no run folder was left behind\n"
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as taken:
        ports = [taken.getsockname()[1], *free_ports(1)]
        with started([(*DIGITS, "--out", str(tmp_path / "run"))], ports) as (chief,):
            _, said = chief.communicate(timeout=TIMEOUT_S)

    assert chief.returncode == 1
    assert said == f"atelier: worker 0 cannot listen at 127.0.0.1:{ports[0]}: the port is taken\n"


@pytest.mark.parametrize("command", [("train", "digits-dense"), ("sweep", "digits-dense", "--grid", "units=8,16")])
def test_a_wrong_tf_config_is_wrong_use(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 2}}')

    done = atelier(*command, "--out", str(tmp_path / "out"))

    assert done.returncode == 2
    assert done.stderr.startswith("atelier: $TF_CONFIG: expected ")
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_trains_in_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}')

    done = atelier("sweep", "digits-dense", "--grid", "units=8,16", "--out", str(tmp_path / "out"))

    assert done.returncode == 2
    assert "a sweep trains in one" in done.stderr
