"""The IDX reader, on good files and on everything that a download can do to them."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_arrays

from training.datasets.idx import parse_idx, read_idx
from training.errors import DatasetError

HEADER = bytes((0, 0, 8, 2)) + struct.pack(">II", 2, 3)
BODY = bytes(range(6))


def write_gz(path: Path, data: bytes) -> str:
    """Writes the file and returns its MD5."""
    path.write_bytes(gzip.compress(data))
    return hashlib.md5(path.read_bytes()).hexdigest()


@given(numpy_arrays.arrays(np.uint8, numpy_arrays.array_shapes(max_dims=4, max_side=5)))
def test_what_was_written_is_read_back(array: np.ndarray) -> None:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)

    read = parse_idx(header + array.tobytes(), dimensions=array.ndim)

    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


@given(st.binary(max_size=64), st.integers(1, 4))
def test_arbitrary_bytes_are_read_or_refused_as_damaged(data: bytes, dimensions: int) -> None:
    with contextlib.suppress(DatasetError):
        assert parse_idx(data, dimensions=dimensions).ndim == dimensions


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"expected it to start with 00 00 08 02 .*, received nothing"),
        (b"<htm" + HEADER[4:] + BODY, r"received 3c 68 74 6d"),
        (bytes((0, 0, 8, 3)) + HEADER[4:] + BODY, r"received 00 00 08 03"),
        (HEADER[:9], r"expected a header of 12 bytes, received 9"),
        (HEADER + BODY[:-1], r"announces 2 x 3 = 6 bytes, but 5 follow"),
        (HEADER + BODY + b"!", r"announces 2 x 3 = 6 bytes, but 7 follow"),
    ],
)
def test_damaged_bytes_are_refused_with_what_was_expected_and_received(data: bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        parse_idx(data, dimensions=2)


def test_a_gzipped_file_with_the_right_checksum_is_read(tmp_path: Path) -> None:
    md5 = write_gz(tmp_path / "images.gz", HEADER + BODY)

    assert read_idx(tmp_path / "images.gz", dimensions=2, md5=md5).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_file_with_another_checksum_is_refused(tmp_path: Path) -> None:
    received = write_gz(tmp_path / "images.gz", HEADER + BODY)

    with pytest.raises(DatasetError, match=f"not the official file: expected MD5 0000, received {received}"):
        read_idx(tmp_path / "images.gz", dimensions=2, md5="0000")


def test_a_truncated_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    md5 = write_gz(path, HEADER + BODY)
    path.write_bytes(path.read_bytes()[:-10])

    with pytest.raises(DatasetError, match=r"images.gz is cut short"):
        read_idx(path, dimensions=2, md5=md5)


def test_a_file_that_is_not_gzip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images.gz").write_bytes(b"<html>Not Found</html>")

    with pytest.raises(DatasetError, match=r"images.gz cannot be read: Not a gzipped file"):
        read_idx(tmp_path / "images.gz", dimensions=2, md5="")


def test_a_gzip_file_with_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    md5 = write_gz(path, HEADER + BODY)
    packed = bytearray(path.read_bytes())
    packed[-6] ^= 0xFF  # within the CRC
    path.write_bytes(packed)

    with pytest.raises(DatasetError, match=r"images.gz cannot be read: CRC check failed"):
        read_idx(path, dimensions=2, md5=md5)
