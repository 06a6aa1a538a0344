"""What people say of a model that does not describe itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.description import Description, describe
from export.errors import WrongUseError
from serving.images import ImageSpec
from serving.signatures import Signature, TensorSpec

ABC = ("a", "b", "c")


def test_labels_come_from_a_file_or_from_between_commas(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("T-shirt/top\nTrouser\n")

    in_a_file = describe(task=None, labels=str(tmp_path / "labels.txt"), image_size=None, colour=None)
    assert in_a_file.labels == ("T-shirt/top", "Trouser")
    assert describe(task=None, labels="cat, dog", image_size=None, colour=None).labels == ("cat", "dog")
    assert describe(task=None, labels=None, image_size="24x32", colour="rgb").image == ImageSpec(24, 32, "rgb")
    assert describe(task=None, labels=None, image_size="28", colour=None).image == ImageSpec(28, 28, "grayscale")


def test_a_colour_without_a_size_is_refused() -> None:
    with pytest.raises(WrongUseError, match="expected --image-size too"):
        describe(task=None, labels=None, image_size=None, colour="rgb")


@pytest.mark.parametrize(
    ("labels", "image_size", "sentence"),
    [
        ("labels.csv", None, "expected a file or names between commas, received 'labels.csv', which is neither"),
        ("a,,b", None, "expected different names, received '' for class 1"),
        ("a,a", None, "expected different names, received 'a' for class 1"),
        (None, "28x28x3", "expected pixels as 28 or 24x32, received '28x28x3'"),
        (None, "0", "expected a size of 1 to 16384 pixels, received 0 x 0"),
    ],
)
def test_a_description_that_cannot_be_is_refused(labels: str | None, image_size: str | None, sentence: str) -> None:
    with pytest.raises(WrongUseError, match=sentence):
        describe(task=None, labels=labels, image_size=image_size, colour=None)


def test_a_description_fits_any_output_that_has_its_classes() -> None:
    signature = Signature(
        inputs=(TensorSpec("x", "float32", (None, 4)),),
        outputs=(TensorSpec("price", "float32", (None, 1)), TensorSpec("kind", "float32", (None, 3))),
    )

    assert Description(labels=ABC).misfit(signature) is None
    assert Description(labels=ABC[:2]).misfit(signature) == (
        "the model gives float32 [?, 1] and float32 [?, 3], expected scores [?, 2] for its 2 labels"
    )
