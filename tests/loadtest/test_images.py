"""Where the images of a load test come from."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loadtest.errors import UsageError
from loadtest.images import MAX_IMAGES, find_images
from serving.signatures import TensorSpec

GRAY = TensorSpec("pixels", "uint8", (None, 8, 8))
COLOUR = TensorSpec("pixels", "uint8", (None, 6, 4, 3))


def write_idx(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for name, magic, array in (("images-idx3", 0x803, images), ("labels-idx1", 0x801, labels)):
        header = np.array([magic, *array.shape], ">u4").tobytes()
        (folder / f"t10k-{name}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))


def png(colour: tuple[int, int, int], size: tuple[int, int] = (9, 7)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def test_a_model_gets_its_own_data_set_with_labels(tmp_path: Path) -> None:
    pixels = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8)
    write_idx(tmp_path / "clothes", pixels, np.array([2, 0, 1], np.uint8))
    for model in ("clothes", "clothes-cnn"):
        found = find_images(GRAY, data="", model=model, seed=0, data_root=tmp_path)
        assert (found.source, found.labels is not None) == ("clothes", True)
        np.testing.assert_array_equal(found.pixels, pixels)
        assert found.labels is not None
        assert found.labels.tolist() == [2, 0, 1]
        assert found.files is not None
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(found.files[1]))), pixels[1])
    other = find_images(GRAY, data="", model="other", seed=0, data_root=tmp_path)
    assert (other.source, other.labels) == ("random pixels", None)


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_classes_gives_images_of_the_models_size_and_labels_in_order(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "animals"
    folder.mkdir()
    colours = {"cats/1.png": (255, 0, 0), "cats/2.png": (250, 0, 0), "dogs/1.png": (0, 0, 255)}
    with tarfile.open(folder / "validation.tar", "w") if packed else open("/dev/null") as archive:  # noqa: PTH123
        for name, colour in colours.items():
            if packed:
                info = tarfile.TarInfo(f"animals/validation/{name}")
                info.size = len(png(colour))
                archive.addfile(info, io.BytesIO(png(colour)))  # type: ignore[union-attr]
            else:
                path = folder / "validation" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(png(colour))
    found = find_images(COLOUR, data=str(folder), model="m", seed=0)
    assert found.pixels.shape == (3, 6, 4, 3)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 0, 1]
    assert found.pixels[2, 0, 0].tolist() == [0, 0, 255]
    assert found.files == tuple(png(colour) for colour in colours.values())


def test_the_digits_are_scaled_to_bytes() -> None:
    found = find_images(GRAY, data="digits", model="m", seed=0)
    assert (found.pixels.shape, found.pixels.max()) == ((MAX_IMAGES, 8, 8), 255)
    assert found.labels is not None
    assert set(found.labels.tolist()) == set(range(10))
    np.testing.assert_array_equal(
        find_images(GRAY, data="", model="digits-dense", seed=0).pixels, found.pixels
    )  # a model's own


def test_digits_without_scikit_learn_are_random_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setattr("loadtest.images.importlib.util.find_spec", lambda _: None)
    assert find_images(GRAY, data="", model="digits", seed=0).source == "random pixels"
    with pytest.raises(UsageError, match="--data digits: expected scikit-learn to be installed"):
        find_images(GRAY, data="digits", model="digits", seed=0)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16", "int64", "int8", "bool"])
def test_random_images_have_the_inputs_dtype_and_shape_and_depend_on_the_seed_alone(dtype: str) -> None:
    spec = TensorSpec("x", dtype, (None, 4, None))
    found = find_images(spec, data="random", model="m", seed=1)
    assert (found.pixels.dtype.name, found.pixels.shape, found.labels) == (dtype, (MAX_IMAGES, 4, 1), None)
    assert len(np.unique(found.pixels)) > 1
    np.testing.assert_array_equal(found.pixels, find_images(spec, data="random", model="m", seed=1).pixels)


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^--data digits: expected images of shape \[\?, 6, 4, 3\].*received \[\?, 8, 8\]"
    ):
        find_images(COLOUR, data="digits", model="m", seed=0)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected images in one folder for each class, or MNIST's files"):
        find_images(GRAY, data=str(tmp_path), model="m", seed=0)


def test_a_name_that_leads_nowhere_is_refused_with_the_places(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"received 'shoes'; looked at shoes and {tmp_path}/shoes"):
        find_images(GRAY, data="shoes", model="m", seed=0, data_root=tmp_path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path / "clothes", np.zeros((3, 8, 8), np.uint8), np.zeros(3, np.uint8))
    (tmp_path / "clothes" / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x09ab"))
    with pytest.raises(UsageError, match="expected MNIST's format"):
        find_images(GRAY, data="clothes", model="m", seed=0, data_root=tmp_path)
    (tmp_path / "clothes" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"no gzip")
    with pytest.raises(UsageError, match="its images cannot be read"):
        find_images(GRAY, data="clothes", model="m", seed=0, data_root=tmp_path)
    (tmp_path / "animals" / "cats").mkdir(parents=True)
    (tmp_path / "animals" / "cats" / "1.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"cats/1\.png: expected an image"):
        find_images(GRAY, data="animals", model="m", seed=0, data_root=tmp_path)


def test_real_photographs_and_real_clothes_are_found(data_dir: Path) -> None:
    clothes = find_images(
        TensorSpec("pixels", "uint8", (None, 28, 28)), data="", model="fashion-mnist", seed=0, data_root=data_dir
    )
    assert (clothes.source, len(clothes.pixels)) == ("fashion-mnist", MAX_IMAGES)
    photographs = find_images(
        TensorSpec("pixels", "uint8", (None, 30, 30, 3)), data="", model="cats-vs-dogs", seed=0, data_root=data_dir
    )
    assert photographs.source == "cats-and-dogs"
    assert photographs.labels is not None
    assert set(photographs.labels.tolist()) == {0, 1}
