"""`make bench-training`: our trainer and the course's own plain script in one run, alternating, on this machine.

Exit codes: 0 measured; 1 a training failed, or ours is less accurate; never by the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.training_report import (
    OURS,
    OURS_LIKE_PLAIN,
    PACKAGES,
    PLAIN,
    Round,
    as_markdown,
    less_accurate,
    medians,
)

EPOCHS = {"mnist-dense": 5, "fashion-mnist-dense": 5, "fashion-mnist-cnn": 2}
SMOKE_EPOCHS = {"digits-dense": 2}
LIKE_PLAIN = (
    "--batch-size=32",
    "--learning-rate=0.001",
    "--set=learning_rate_schedule=constant",
    "--validation-split=0",
)
"""The plain script's settings: it trains on every image and validates nothing."""
MB = 1e6
KIB = 1024


class FailedError(Exception):
    """A training ended with an error; the message holds the end of what it printed."""


def main() -> int:
    """Reads the command line, measures, writes the report, prints it."""
    options = _options()
    machine = describe_machine(PACKAGES)
    try:
        rounds = measure(options.epochs, options.rounds)
    except FailedError as error:
        print(error, file=sys.stderr)
        return 1
    rows = medians(rounds)
    text = as_markdown(rows, machine)
    options.output.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "medians": [asdict(row) for row in rows], "rounds": [asdict(one) for one in rounds]}
    (options.output / "training.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    (options.output / "training.md").write_text(text, encoding="utf-8")
    print(text, end="")
    return 1 if less_accurate(rows) and not options.smoke else 0


def measure(epochs: Mapping[str, int], rounds: int) -> list[Round]:
    """Every contestant in turn, each in a process of its own, recipe after recipe.

    Raises:
        FailedError: one of them did not end well.
    """
    measured = []
    for recipe, count in epochs.items():
        for number in range(1, rounds + 1):
            for contestant in (PLAIN, OURS, OURS_LIKE_PLAIN):
                one = _run(recipe, count, contestant)
                measured.append(one)
                print(f"{recipe}, round {number}, {contestant}: {one.seconds:.1f} s", file=sys.stderr, flush=True)
    return measured


def _run(recipe: str, epochs: int, contestant: str) -> Round:
    with tempfile.TemporaryDirectory() as folder:
        if contestant == PLAIN:
            command = ["-m", "benchmarks.plain_training", recipe, str(epochs)]
        else:
            command = ["-m", "atelier", "train", recipe, f"--epochs={epochs}", f"--out={folder}/run", "--json"]
        if contestant == OURS_LIKE_PLAIN:
            command += LIKE_PLAIN
        output, process_seconds, peak_bytes = _watched([sys.executable, *command])
    document = json.loads(output)
    if contestant != PLAIN:
        document = {"seconds": document["metrics"]["seconds"], "accuracy": document["metrics"]["value"]}
    return Round(recipe, epochs, contestant, **document, process_seconds=process_seconds, peak_mb=peak_bytes / MB)


def _watched(command: Sequence[str]) -> tuple[bytes, float, int]:
    """What a command prints, how long it takes, and the most memory that it has resident."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=errors)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            said = errors.read().decode(errors="replace")[-1000:]
            raise FailedError(f"{' '.join(command)} ended with code {process.returncode}: {said}")
        return out.read(), seconds, usage.ru_maxrss * KIB


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-training ARGS=…", description=__doc__)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"of {', '.join(EPOCHS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per recipe (default: 3)")
    parser.add_argument("--epochs", type=int, dest="count", help="of every recipe (default: 5, of the CNN 2)")
    parser.add_argument("--output", type=Path, default=Path("bench-output"), help="where the report goes")
    parser.add_argument("--smoke", action="store_true", help="one short round on the built-in digits")
    options = parser.parse_args()
    unknown = [name for name in options.recipes if name not in EPOCHS]
    if unknown:
        parser.error(f"expected recipes of {', '.join(EPOCHS)}, received {', '.join(unknown)}")
    options.epochs = {name: options.count or EPOCHS[name] for name in options.recipes or EPOCHS}
    if options.smoke:
        options.rounds, options.epochs = 1, SMOKE_EPOCHS
    return options


if __name__ == "__main__":
    sys.exit(main())
