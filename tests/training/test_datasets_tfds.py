"""Data sets of TensorFlow Datasets: against a stand-in for it, and against itself where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serving.images import ImageSpec
from tests.support.image_files import plain
from training.datasets import Dataset, LoadOptions, load_dataset
from training.errors import DatasetError, DatasetUnavailableError, UsageError

SPEC = ImageSpec(4, 6, "grayscale")


class Image:
    pass


class ClassLabel:
    names = ("rose", "tulip")


class SkipDecoding:
    pass


class Builder:
    """What of `tfds.core.DatasetBuilder` is used; `examples` has shades and classes by split."""

    def __init__(self, examples: dict[str, list[tuple[int, int]]], label: Any = ClassLabel()) -> None:  # noqa: B008 -- frozen
        self.examples = examples
        self.error: Exception | None = None
        self.info = SimpleNamespace(
            full_name="plants/1.0.0",
            features={"id": object(), "image": Image(), "label": label},
            supervised_keys=("image", "label"),
            splits={split: SimpleNamespace(num_examples=len(pairs)) for split, pairs in examples.items()},
        )

    def download_and_prepare(self) -> None:
        print("Downloading …")
        if self.error is not None:
            raise self.error

    def as_dataset(
        self, *, split: str, as_supervised: bool, decoders: dict[str, Any]
    ) -> Iterator[tuple[bytes, np.int64]]:
        assert as_supervised
        assert isinstance(decoders["image"], SkipDecoding)
        return ((plain(shade), np.int64(label)) for shade, label in self.examples[split])


PAIRS = [(shade, shade % 2) for shade in range(20)]


def install(monkeypatch: pytest.MonkeyPatch, builder: Builder) -> None:
    def find(name: str) -> Builder:
        if name != "plants":
            raise ValueError(f"Dataset {name} not found.\nDid you mean: plants")
        return builder

    module = SimpleNamespace(
        builder=find, decode=SimpleNamespace(SkipDecoding=SkipDecoding), as_numpy=lambda dataset: dataset
    )
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    monkeypatch.setattr("training.datasets.tfds.quiet_tensorflow", lambda: None)  # half a minute, for nothing here


def load(name: str = "plants", warn: Any = lambda _: None) -> Dataset:
    return load_dataset("folder", LoadOptions(data_dir=Path(f"tfds:{name}"), image=SPEC, warn=warn))


def test_splits_classes_and_encoded_images_come_from_tensorflow_datasets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, Builder({"test": PAIRS[:4], "train": PAIRS, "unlabelled": PAIRS}))
    warnings: list[str] = []

    dataset = load(warn=warnings.append)

    assert dataset.labels == ("rose", "tulip")
    assert dataset.train.inputs[:, 0, 0].tolist() == list(range(20))
    assert dataset.train.targets.tolist() == [shade % 2 for shade in range(20)]
    assert dataset.test is not None
    assert len(dataset.test) == 4
    assert dataset.source == "tfds:plants"
    assert warnings == ["tfds:plants: left out the splits unlabelled"]
    assert capsys.readouterr().out == ""


def test_a_data_set_with_nothing_but_train_has_a_part_of_it_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Builder({"train": PAIRS}))

    dataset = load()

    assert dataset.test is not None
    assert sorted([*dataset.train.inputs[:, 0, 0], *dataset.test.inputs[:, 0, 0]]) == list(range(20))


def test_what_is_no_classification_of_images_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Builder({"train": PAIRS}, label=object()))
    with pytest.raises(DatasetError, match="tfds:plants: expected images with one class each, received id: object, im"):
        load()


def test_a_data_set_without_train_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Builder({"test": PAIRS}))
    with pytest.raises(DatasetError, match="tfds:plants has no split train; it has test"):
        load()


def test_an_unknown_name_is_wrong_use_and_a_failed_download_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = Builder({"train": PAIRS})
    install(monkeypatch, builder)
    with pytest.raises(UsageError, match=r"^TensorFlow Datasets has no 'cars': Dataset cars not found\.$"):
        load("cars")
    builder.error = ConnectionError("no route to host\nTraceback")
    with pytest.raises(DatasetUnavailableError, match=r"^tfds:plants cannot be had: no route to host$"):
        load()


def test_without_the_package_the_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.setattr("training.datasets.tfds.quiet_tensorflow", lambda: None)
    with pytest.raises(UsageError, match="tfds:… needs TensorFlow Datasets: expected the package tensorflow-datasets"):
        load()


REAL = """
import sys
from pathlib import Path
import numpy as np
import tensorflow_datasets as tfds
from serving.images import ImageSpec
from training.datasets import LoadOptions, load_dataset

class Plants(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        label = tfds.features.ClassLabel(names=["a", "b"])
        features = {"image": tfds.features.Image(shape=(None, None, 3)), "label": label}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=("image", "label")
        )

    def _split_generators(self, download_manager):
        return {"train": self._generate_examples(12)}

    def _generate_examples(self, count):
        for shade in range(count):
            yield shade, {"image": np.full((4 + shade, 6, 3), shade, np.uint8), "label": shade % 2}

Plants().download_and_prepare()
options = LoadOptions(data_dir=Path("tfds:plants"), image=ImageSpec(5, 7, "rgb"))
dataset = load_dataset("folder", options)
shades = dataset.train.inputs[:, 0, 0, 0].tolist(), dataset.test.inputs[:, 0, 0, 0].tolist()
assert all(shade % 2 == label for shade, label in zip(shades[0], dataset.train.targets))
again = load_dataset("folder", options)
print(dataset.labels, sorted(shades[0] + shades[1]) == list(range(12)), len(shades[1]), again.sha256 == dataset.sha256)
"""


def test_the_real_package_gives_what_the_stand_in_gives(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow_datasets", reason="TensorFlow Datasets is not installed", exc_type=ImportError)
    environment = os.environ | {"TFDS_DATA_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    answer = subprocess.run(
        [sys.executable, "-c", REAL], capture_output=True, text=True, check=True, timeout=300, env=environment
    )
    assert answer.stdout.splitlines()[-1] == "('a', 'b') True 2 True"
