"""Tar files of images: what is in them, and what a download or a disk can do to them."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.images import ImageSpec
from tests.support.image_files import plain, write_tar, write_tree
from training.datasets import Dataset, LoadOptions, load_dataset
from training.datasets.tar_files import TarFiles
from training.errors import DatasetError

SPEC = ImageSpec(4, 6, "grayscale")
FILES = {
    f"set/{split}/{name}/{position}.png": plain(100 * s + 10 * n + position)
    for s, split in enumerate(("train", "validation"))
    for n, name in enumerate(("cats", "dogs"))
    for position in range(3)
}


def load(path: Path) -> Dataset:
    return load_dataset("folder", LoadOptions(data_dir=path, image=SPEC))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_file_is_what_the_folder_is_in_any_compression_and_order(tmp_path: Path, mode: str) -> None:
    backwards = dict(reversed(FILES.items()))
    folder = load(write_tree(tmp_path / "folder", FILES))

    packed = load(write_tar(tmp_path / "packed", backwards, mode))

    assert packed.labels == folder.labels
    assert packed.sha256 == folder.sha256
    assert len(packed.train) == 6


def test_nothing_is_unpacked_and_names_are_only_names(tmp_path: Path) -> None:
    names = ("/abs/cats/1.png", "../up/cats/2.png", "./x/cats/3.png", "//y/dogs/4.png")
    path = write_tar(tmp_path / "odd.tar", {name: plain(index) for index, name in enumerate(names)})

    images = TarFiles(path).listing().images

    assert set(images) == {
        ("abs", "cats", "1.png"),
        ("..", "up", "cats", "2.png"),
        ("x", "cats", "3.png"),
        ("y", "dogs", "4.png"),
    }
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_members_with_one_name_the_last_counts(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "twice.tar", FILES)
    with tarfile.open(path, "a") as tar:
        content = plain(77)
        member = tarfile.TarInfo("./set/train/cats/0.png")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))

    dataset = load(path)

    assert dataset.train.inputs[:, 0, 0].tolist()[:3] == [77, 1, 2]
    assert len(dataset.train) == 6


def test_hard_links_are_files_and_symbolic_links_and_devices_are_passed_over(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "links.tar", FILES)
    with tarfile.open(path, "a") as tar:
        for name, kind in (("h", tarfile.LNKTYPE), ("s", tarfile.SYMTYPE), ("d", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(f"set/train/dogs/{name}.png")
            member.type = kind
            member.linkname = "set/train/cats/2.png" if kind == tarfile.LNKTYPE else f"set/train/dogs/{name}.png"
            tar.addfile(member)

    assert load(path).train.inputs[:, 0, 0].tolist() == [0, 1, 2, 10, 11, 12, 2]


def test_an_empty_class_in_a_tar_file_is_said(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "some.tar", {"a/1.png": plain(1), "b/1.png": plain(1), "c/": b""})
    with pytest.raises(DatasetError, match=r"some\.tar has no images of c: the folder is empty"):
        load(path)


def damaged(path: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("part", [0.3, 0.7, 0.95])
def test_a_tar_file_that_is_cut_short_is_damaged_wherever_it_ends(tmp_path: Path, mode: str, part: float) -> None:
    path = write_tar(tmp_path / "cut.tar", FILES, mode)
    whole = path.read_bytes().rstrip(b"\0") if mode == "w" else path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])

    assert f"{path} is no tar file, cut short, or damaged: " in damaged(path)


def test_a_tar_file_that_is_cut_between_two_members_is_damaged(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "cut.tar", FILES)
    with tarfile.open(path) as tar:
        offset = tar.getmembers()[8].offset
    path.write_bytes(path.read_bytes()[:offset])

    assert f"expected a header or the end at byte {offset:,}" in damaged(path)


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "bad.tar", FILES)
    with tarfile.open(path) as tar:
        offset = tar.getmembers()[8].offset
    content = bytearray(path.read_bytes())
    content[offset + 124] ^= 0xFF
    path.write_bytes(content)

    assert "damaged" in damaged(path)


def test_a_size_below_zero_is_damage_and_no_endless_loop(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a/1.png")
    member.size = 0
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = tarfile.itn(-512, 12, tarfile.GNU_FORMAT)
    header[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(header))[0]
    path = tmp_path / "loop.tar"
    path.write_bytes(bytes(header) + bytes(10_240))

    assert "negative size" in damaged(path)


def test_the_checksum_of_a_compressed_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "sum.tar.gz"
    packed = bytearray(gzip.compress(write_tar(tmp_path / "plain.tar", FILES).read_bytes()))
    packed[-8] ^= 1
    path.write_bytes(packed)

    assert "CRC check failed" in damaged(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
def test_any_damage_is_refused_or_does_not_matter(
    tmp_path: Path, changes: list[tuple[int, int]], compressed: bool
) -> None:
    path = write_tar(tmp_path / "any.tar", FILES, "w:gz" if compressed else "w")
    content = bytearray(path.read_bytes())
    for position, value in changes:
        content[512 + position % (len(content) - 512)] = value
    path.write_bytes(content)

    try:
        listing = TarFiles(path).listing()
        read = [get() for _, get in TarFiles(path).contents(listing.images)]
    except DatasetError:
        return
    assert len(read) == len(listing.images)
    assert np.array([len(content) for content in read]).min(initial=0) >= 0
