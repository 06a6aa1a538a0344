"""Publishers as processes of their own, to be killed: `publisher.py SCENARIO MODELS_DIR`; answers with JSON on stdout.

Every process is forked from this one, which has loaded nothing heavy, so that a scenario can afford hundreds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from export.errors import WrongUseError
from export.inspection import check_version, version_folders
from export.publish import STAGING_PREFIX, published_versions, stage
from serving.bundle import Manifest, record_files

NAME = "clothes"
FILES = 6
RANDOM_DEATHS = 20
LONGEST_LIFE_S = 0.03
PUBLISHERS = 2
EACH = 20


def write_bundle(folder: Path) -> None:
    """A bundle with several files of several KiB and a manifest that fits."""
    (folder / "variables").mkdir()
    for index in range(FILES):
        (folder / "variables" / f"part-{index}").write_bytes(os.urandom(4096))
    Manifest(
        name=NAME,
        task="classification",
        labels=("a", "b"),
        signatures={},
        image=None,
        training=None,
        metrics={},
        parity=(),
        created_at="2026-11-20T12:00:00+00:00",
        files=record_files(folder),
    ).write(folder)


def publish_one(models: Path, version: int | None = None) -> None:
    with stage(models, NAME) as staging:
        write_bundle(staging.bundle)
        staging.publish(version)


def describe(models: Path) -> dict[str, Any]:
    model_dir = models / NAME
    versions = published_versions(model_dir)
    checks = [check_version(folder) for folder in version_folders(model_dir)] if versions else []
    return {
        "versions": versions,
        "damaged": [check.reason for check in checks if check.reason is not None],
        "staging_folders": len(list(model_dir.glob(f"{STAGING_PREFIX}*"))),
    }


def fork(work: Callable[[], None]) -> int:
    """Runs `work` in a child; its exit status is 0, or 2 for WrongUseError, or 1 for another exception."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except WrongUseError:
        status = 2
    finally:
        os._exit(status)


def die_at_operation(number: int) -> None:
    """Kills this very process when it is about to do its `number`-th operation that Python audits."""
    left = number

    def hook(event: str, _: object) -> None:
        nonlocal left
        if event == "open" or event.startswith(("os.", "fcntl.", "shutil.", "tempfile.")):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def dying_at_every_operation(models: Path) -> list[dict[str, Any]]:
    """One publisher after the other, the n-th killed before its n-th operation, until one survives."""
    seen = []
    for number in range(1, 1000):

        def work(number: int = number) -> None:
            die_at_operation(number)
            publish_one(models)

        _, status = os.waitpid(fork(work), 0)
        seen.append({"killed": os.WIFSIGNALED(status), **describe(models)})
        if status == 0:
            break
    return seen


def dying_at_random(models: Path) -> dict[str, Any]:
    """Two publishers at work; at random moments one is killed and replaced. At last one publishes in peace."""
    moments = random.Random(2)

    def work() -> None:
        while True:
            publish_one(models)

    living = [fork(work) for _ in range(PUBLISHERS)]
    damaged: list[str | None] = []
    for _ in range(RANDOM_DEATHS):
        time.sleep(moments.uniform(0, LONGEST_LIFE_S))
        victim = living.pop(0)
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        damaged += describe(models)["damaged"]
        living.append(fork(work))
    for child in living:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    publish_one(models)
    after = describe(models)
    return {**after, "damaged": damaged + after["damaged"]}


def together(models: Path) -> dict[str, Any]:
    """Several publishers at once, each with many versions; none may fail."""

    def work() -> None:
        for _ in range(EACH):
            publish_one(models)

    statuses = [os.waitpid(child, 0)[1] for child in [fork(work) for _ in range(PUBLISHERS)]]
    return {**describe(models), "statuses": statuses}


def same_number(models: Path) -> dict[str, Any]:
    """Eight publishers that all ask for version 7."""
    children = [fork(lambda: publish_one(models, 7)) for _ in range(8)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return {**describe(models), "codes": codes}


SCENARIOS: dict[str, Callable[[Path], Any]] = {
    scenario.__name__: scenario for scenario in (dying_at_every_operation, dying_at_random, together, same_number)
}

if __name__ == "__main__":
    print(json.dumps(SCENARIOS[sys.argv[1]](Path(sys.argv[2]))))
