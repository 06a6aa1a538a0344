"""Publishers as processes of their own, to be killed: `publisher.py SCENARIO MODELS`; answers with JSON on stdout.

Every process is forked from this one, which has loaded nothing heavy, so that a scenario can afford hundreds.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from export.claims import CLAIMS
from export.errors import ExportError, WrongUseError
from export.location import parse_location
from export.prune import prune
from export.publish import stage
from export.staging import STAGING_PREFIX
from export.store import Store
from export.verification import check_version
from export.versions import published_versions, version_folders
from serving.bundle import Manifest, record_files
from serving.bundle_files import MANIFEST, SAVED_MODEL

NAME = "clothes"
BUNDLE_FILES = (SAVED_MODEL, *(f"variables/part-{index}" for index in range(6)))
RANDOM_DEATHS = 20
LONGEST_LIFE_S = 0.03
PUBLISHERS = 2
EACH = 20
EACH_IN_A_STORE = 2
SMALL = BUNDLE_FILES[:3]


def write_bundle(folder: Path, files: tuple[str, ...] = BUNDLE_FILES) -> None:
    """A bundle with several files of several KiB and a manifest that fits."""
    (folder / "variables").mkdir()
    for name in files:
        (folder / name).write_bytes(os.urandom(4096))
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


def half_written(names: Iterable[str], whole: tuple[str, ...] = BUNDLE_FILES) -> list[str]:
    """The versions that look loadable to TensorFlow Serving, or complete, and are not; from the model's objects."""
    seen: dict[str, set[str]] = {}
    for name in names:
        version, _, file = name.partition("/")
        if version.isdigit():
            seen.setdefault(version, set()).add(file)
    return [
        version
        for version, files in seen.items()
        if (SAVED_MODEL in files and not files.issuperset(whole)) or (MANIFEST in files and SAVED_MODEL not in files)
    ]


def objects_in_s3(address: str) -> list[str]:
    """The names of the model's objects, from a client that has no threads."""
    import boto3

    bucket, _, folder = address.removeprefix("s3://").partition("/")
    found = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"{folder}/{NAME}/").get("Contents", [])
    return [entry["Key"].removeprefix(f"{folder}/{NAME}/") for entry in found]


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
    except BaseException:  # noqa: BLE001 -- the child's last words, for who looks why it failed
        traceback.print_exc()
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


def watch_requests(at_request: Callable[[int], None]) -> None:
    """From now on `at_request` is called before the n-th request to an S3 server, and with -n once it is answered."""
    from s3fs import S3FileSystem

    original = S3FileSystem._call_s3
    numbers = itertools.count(1)

    async def watched(self: Any, *arguments: Any, **options: Any) -> Any:
        number = next(numbers)
        at_request(number)
        try:
            return await original(self, *arguments, **options)
        finally:
            at_request(-number)

    S3FileSystem._call_s3 = watched


def die_at_request(moment: int) -> None:
    """Kills this very process at the moment; see `watch_requests` for how they are numbered."""
    watch_requests(lambda now: os.kill(os.getpid(), signal.SIGKILL) if now == moment else None)


def told_by_child(work: Callable[[], Any]) -> Any:
    """What `work` returns in a child: this process uses no store itself, whose threads would not survive a fork."""
    read, write = os.pipe()
    child = fork(lambda: os.write(write, json.dumps(work()).encode()))
    os.close(write)
    with os.fdopen(read) as answer:
        told = json.load(answer)
    os.waitpid(child, 0)
    return told


def publish_small(address: str, version: int | None = None) -> None:
    with stage(parse_location(address), NAME) as staging:
        write_bundle(staging.bundle, SMALL)
        staging.publish(version)


def describe_store(address: str) -> dict[str, Any]:
    store = Store(parse_location(address) / NAME)
    return {
        **describe(parse_location(address)),
        "staging_folders": len([name for name in store.children() if name.startswith(STAGING_PREFIX)]),
        "claimed": len(store.children(CLAIMS)),
    }


def dying_at_random_requests(address: str) -> dict[str, Any]:
    """One publisher after the other is killed at a random one of the requests that it makes to the store."""

    def count_requests() -> int:
        seen: list[int] = []
        watch_requests(seen.append)
        publish_small(address)
        return max(seen)

    moments = random.Random(4)
    requests = told_by_child(count_requests)
    deaths = []
    for _ in range(RANDOM_DEATHS):
        moment = moments.randint(1, requests) * moments.choice((1, -1))

        def work(moment: int = moment) -> None:
            die_at_request(moment)
            publish_small(address)

        _, status = os.waitpid(fork(work), 0)
        seen = half_written(objects_in_s3(address), SMALL)
        deaths.append({"moment": moment, "status": status, "half_written": seen})
    _, last = os.waitpid(fork(lambda: publish_small(address)), 0)
    return {"requests": requests, "deaths": deaths, "last": last, **told_by_child(lambda: describe_store(address))}


def together_in_a_store(address: str) -> dict[str, Any]:
    """Several publishers at once in a store, each with some versions; none may fail."""

    def work() -> None:
        for _ in range(EACH_IN_A_STORE):
            publish_small(address)

    statuses = [os.waitpid(child, 0)[1] for child in [fork(work) for _ in range(PUBLISHERS)]]
    return {**told_by_child(lambda: describe_store(address)), "statuses": statuses}


def same_number_in_a_store(address: str) -> dict[str, Any]:
    """Three publishers that all ask for version 7."""
    children = [fork(lambda: publish_small(address, 7)) for _ in range(3)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return {**told_by_child(lambda: describe_store(address)), "codes": codes}


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


def pruning_and_dying(models: Path) -> list[dict[str, Any]]:
    """Of six versions five are removed by removers that are killed before their n-th operation, until one survives."""
    for _ in range(6):
        publish_one(models)
    seen = []
    for number in range(1, 1000):

        def work(number: int = number) -> None:
            die_at_operation(number)
            prune(models / NAME, 1)

        _, status = os.waitpid(fork(work), 0)
        seen.append({"killed": os.WIFSIGNALED(status), **describe(models), "entries": len(list(models.glob("*/*")))})
        if status == 0:
            break
    return seen


def filling_the_disk(models: Path) -> dict[str, Any]:
    """On a small disk: a version, then attempts with 0, 1, 2 … free pages, until one has room enough."""
    page = 4096
    publish_one(models)
    attempts = []
    for pages in range(100):
        filler = models.parent / "filler"
        free = os.statvfs(models).f_bavail * os.statvfs(models).f_frsize
        filler.write_bytes(bytes(max(0, free - pages * page)))
        try:
            publish_one(models)
            error = None
        except OSError as refused:
            error = errno.errorcode[refused.errno or 0]
        filler.unlink()
        attempts.append({"error": error, **describe(models)})
        if error is None:
            break
    return {"attempts": attempts, "entries": sorted(path.name for path in (models / NAME).iterdir())}


def read_only(models: Path) -> dict[str, Any]:
    """A version, then attempts while the file system takes no writes, then one more when it does again."""
    publish_one(models)
    errors = []
    for options in ("remount,ro", "remount,rw"):
        subprocess.run(["mount", "-o", options, str(models.parent)], check=True)
        for work in (lambda: publish_one(models), lambda: prune(models / NAME, 1)):
            try:
                work()
            except (OSError, ExportError) as error:
                errors.append(str(error))
    return {"errors": errors, **describe(models)}


HERE: dict[str, Callable[[Path], Any]] = {
    scenario.__name__: scenario
    for scenario in (
        dying_at_every_operation,
        dying_at_random,
        filling_the_disk,
        pruning_and_dying,
        read_only,
        same_number,
        together,
    )
}
IN_A_STORE: dict[str, Callable[[str], Any]] = {
    scenario.__name__: scenario for scenario in (dying_at_random_requests, together_in_a_store, same_number_in_a_store)
}

if __name__ == "__main__":
    _, wanted, models = sys.argv
    print(json.dumps(IN_A_STORE[wanted](models) if wanted in IN_A_STORE else HERE[wanted](Path(models))))
