"""Images that cannot be decoded, and pixels that are more than memory should hold."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from serving.images import ImageSpec
from tests.support.image_files import file_of, gradient, plain, write_tar, write_tree
from training.datasets import Dataset, LoadOptions, load_dataset
from training.datasets.decoding import IN_FLIGHT_PER_WORKER, decode_splits
from training.datasets.image_files import Listing, Parts
from training.datasets.layout import LabelledFiles
from training.datasets.storage import choose_storage, temporary_folder
from training.errors import DatasetError

SPEC = ImageSpec(4, 6, "grayscale")
GOOD = {
    f"{split}/{name}/{position}.png": plain(100 * s + 10 * n + position)
    for s, split in enumerate(("train", "test"))
    for n, name in enumerate(("cats", "dogs"))
    for position in range(5)
}
CUT = file_of(gradient(), "JPEG")[:300]


def load(path: Path, warn: Callable[[str], None] = lambda _: None, **options: bool | int) -> Dataset:
    return load_dataset("folder", LoadOptions(data_dir=path, image=SPEC, warn=warn, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("max_memory_bytes", [0, 2**30])
def test_unreadable_images_are_left_out_and_said_once_with_their_names(
    tmp_path: Path, packed: bool, max_memory_bytes: int
) -> None:
    files = GOOD | {
        "train/cats/1.png": b"",
        "train/dogs/0.png": b"no image",
        "train/dogs/4.png": CUT,
        "test/cats/0.png": b"",
    }
    path = write_tar(tmp_path / "x.tar", files) if packed else write_tree(tmp_path / "x", files)
    warnings: list[str] = []

    dataset = load(path, warnings.append, max_memory_bytes=max_memory_bytes)

    assert dataset.train.inputs[:, 0, 0].tolist() == [0, 2, 3, 4, 11, 12, 13]
    assert dataset.train.targets.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert dataset.test is not None
    assert dataset.test.inputs[:, 0, 0].tolist() == [101, 102, 103, 104, 110, 111, 112, 113, 114]
    (warning,) = warnings
    assert warning.startswith(
        "left out 4 of 20 images that cannot be decoded: train/cats/1.png (not an image: expected PNG, JPEG, WEBP, "
    )
    assert ", train/dogs/0.png (not an image" in warning
    assert ", train/dogs/4.png (the image is damaged" in warning
    assert warning.endswith(" and others")
    assert "test/cats" not in warning


def test_strict_makes_an_unreadable_image_an_error(tmp_path: Path) -> None:
    path = write_tree(tmp_path, GOOD | {"train/cats/1.png": b""})
    with pytest.raises(DatasetError, match=r": train/cats/1\.png cannot be decoded: not an image: .* 0 bytes"):
        load(path, strict=True)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_of_which_nothing_can_be_decoded_is_an_error(tmp_path: Path, split: str) -> None:
    bad = {name: b"" for name in GOOD if name.startswith(f"{split}/dogs")}
    with pytest.raises(DatasetError, match=rf": not one image of class dogs can be decoded; such as {split}/dogs/0"):
        load(write_tree(tmp_path, GOOD | bad))


def test_a_split_of_which_nothing_can_be_decoded_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not one image of class a can be decoded; such as a/0"):
        load(write_tree(tmp_path, {f"{name}/{position}": b"" for name in "ab" for position in range(4)}))


def test_a_small_part_that_was_held_out_may_lose_a_class_and_that_is_said(tmp_path: Path) -> None:
    files = {f"a/{position}": plain(position) for position in range(30)}
    for bad in range(4):
        write_tree(tmp_path / str(bad), files | {f"b/{p}": plain(p) if p != bad else b"" for p in range(4)})
        warnings: list[str] = []

        dataset = load(tmp_path / str(bad), warnings.append)

        _, *untested = warnings  # after what cannot be decoded
        assert bool(untested) == (set(dataset.evaluation[1].targets) != {0, 1})
        assert set(untested) <= {"the test split has no image of b, which is trained on, but not tested"}
        assert set(dataset.train.targets) == {0, 1}


def test_pixels_beyond_the_limit_are_read_from_disk_and_are_the_same(tmp_path: Path) -> None:
    path = write_tree(tmp_path, GOOD)
    needed = 20 * 4 * 6

    here, there = load(path, max_memory_bytes=needed), load(path, max_memory_bytes=needed - 1)

    assert not isinstance(here.train.inputs, np.memmap)
    assert isinstance(there.train.inputs, np.memmap)
    assert here.sha256 == there.sha256
    assert not isinstance(there.train.take(np.array([1, 0])).inputs, np.memmap)


def test_the_file_on_disk_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))

    dataset = load(write_tree(tmp_path / "data", GOOD), max_memory_bytes=0)

    assert isinstance(dataset.train.inputs, np.memmap)
    assert list(scratch.iterdir()) == []


def test_too_little_room_on_disk_is_said_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil has it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9 * 10**9, 5 * 10**9, 4 * 10**9))
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    with pytest.raises(DatasetError) as caught:
        choose_storage(5 * 10**9, max_memory_bytes=10**9)

    assert str(caught.value) == (
        f"the decoded images need 5.00 GB in {tmp_path} ($TMPDIR may name another folder): only 4.00 GB are free"
    )


def test_more_than_memory_has_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"the decoded images need .* GB, more than memory has: expected a limit"):
        choose_storage(2**62, max_memory_bytes=2**63)((2**31, 2**31))


def test_a_disk_that_fills_up_meanwhile_is_said_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DatasetError, match=r"the decoded images need .* GB in .*: .* No space left on device"):
        load(write_tree(tmp_path, GOOD), max_memory_bytes=0)


def test_without_the_variable_the_file_is_not_put_where_memory_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    assert temporary_folder() == Path("/var/tmp")
    monkeypatch.setenv("TMPDIR", "")
    assert temporary_folder() == Path("/var/tmp")


def test_a_temporary_folder_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere")
    with pytest.raises(DatasetError, match="No such file or directory: '/nowhere'"):
        choose_storage(2, max_memory_bytes=1)


class Endless:
    """Images out of nowhere, which counts how many have been handed out and not been decoded yet."""

    name = "endless"

    def __init__(self) -> None:
        self.waiting = self.most_waiting = 0
        self.lock = threading.Lock()

    def listing(self) -> Listing:
        raise AssertionError

    def contents(self, wanted: Sequence[Parts]) -> Iterator[tuple[Parts, Callable[[], bytes]]]:
        for path in wanted:
            with self.lock:
                self.waiting += 1
                self.most_waiting = max(self.most_waiting, self.waiting)
            yield path, self.read

    def read(self) -> bytes:
        with self.lock:
            self.waiting -= 1
        return plain(1)


def test_only_a_few_encoded_images_are_in_memory_at_once() -> None:
    files, count = Endless(), 400
    paths = tuple((str(position),) for position in range(count))
    labelled = LabelledFiles(files, ("a", "b"), paths, np.arange(count) % 2, class_folder=0)

    decoded = decode_splits({"train": labelled}, LoadOptions(image=SPEC))

    assert len(decoded["train"]) == count
    assert files.most_waiting <= IN_FLIGHT_PER_WORKER * len(os.sched_getaffinity(0))


def test_a_large_folder_hardly_needs_memory(tmp_path: Path) -> None:
    """240 images of 512 x 512 RGB are 189 MB of pixels; the process may have 100 MB of its own beside the file."""
    photo = file_of(gradient("RGB", 64, 64), "JPEG")
    write_tree(tmp_path, {f"{name}/{position}.jpg": photo for name in "ab" for position in range(120)})
    script = (
        "import resource, sys; from pathlib import Path; from serving.images import ImageSpec;"
        "from training.datasets import LoadOptions, load_dataset;"
        "import numpy.random;"
        "used = lambda: int(next(l for l in open('/proc/self/status') if l.startswith('RssAnon')).split()[1]) * 1024;"
        "before = used();"
        "options = LoadOptions(data_dir=Path(sys.argv[1]), image=ImageSpec(512, 512, 'rgb'), max_memory_bytes=0);"
        "dataset = load_dataset('folder', options); dataset.sha256;"
        "print(len(dataset.train), used() - before)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, timeout=300
    )
    count, grown = map(int, answer.stdout.split())

    assert count == 204
    assert grown < 100 * 2**20
