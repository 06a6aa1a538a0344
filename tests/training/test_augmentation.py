"""Training images are moved about: each amount does what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.augmentation import augment, draw
from training.settings import Augmentation

NOTHING: dict[str, Any] = {"flip": False, "rotation_degrees": 0, "shift": 0, "shear": 0, "zoom": 0, "erase": 0}
MANY = 64


def moved(images: np.ndarray, seed: int = 0, **amounts: Any) -> np.ndarray:
    """The images after nothing but these amounts."""
    import tensorflow as tf

    result: np.ndarray = augment(
        tf.constant(images), Augmentation(**NOTHING | amounts), draw(len(images), tf.constant([0, seed]))
    ).numpy()
    assert result.shape == images.shape
    assert result.dtype == np.uint8
    return result


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def copies(image: np.ndarray) -> np.ndarray:
    """Many of the same image, which are then moved each in its own way."""
    return np.repeat(image[None], MANY, axis=0)


images = st.one_of(
    arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))),
    arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.just(3))),
)
amounts = st.fixed_dictionaries(
    {
        "flip": st.booleans(),
        "rotation_degrees": st.floats(0, 180),
        **{name: st.floats(0, 0.99) for name in ("shift", "shear", "zoom", "erase")},
    }
)


@given(images, amounts, st.integers(0, 2**31 - 1))
@settings(max_examples=60)
def test_images_keep_shape_and_type_and_no_pixel_is_brighter_than_the_brightest(
    images: np.ndarray, amounts: dict[str, Any], seed: int
) -> None:
    result = moved(images, seed, **amounts)

    assert (result.max(axis=(1, 2)) <= images.max(axis=(1, 2))).all()
    if amounts["erase"] == 0:
        assert (result.min(axis=(1, 2)) >= images.min(axis=(1, 2))).all()


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 28, 28), (5, 7, 12), (5, 12, 7, 3), (5, 150, 150, 3), (1, 1, 1)])
def test_without_any_amount_no_pixel_changes(shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)

    np.testing.assert_array_equal(moved(pixels), pixels)


@pytest.mark.parametrize("shape", [(6, 6), (5, 8), (8, 5, 3)])
def test_flip_mirrors_about_half_of_the_images_exactly(shape: tuple[int, ...]) -> None:
    image = noise(*shape)

    result = moved(copies(image), flip=True)

    mirrored = [np.array_equal(each, image[:, ::-1]) for each in result]
    assert all(is_mirrored or np.array_equal(each, image) for is_mirrored, each in zip(mirrored, result, strict=True))
    assert MANY // 4 < sum(mirrored) < 3 * MANY // 4


def middle_of_mass(image: np.ndarray) -> tuple[float, float]:
    """Column and row."""
    rows, columns = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    return float((columns * image).sum() / image.sum()), float((rows * image).sum() / image.sum())


def test_shift_moves_up_to_its_part_of_each_side() -> None:
    image = np.zeros((30, 60), np.uint8)
    image[14:16, 29:31] = 200

    places = np.array([middle_of_mass(each) for each in moved(copies(image), shift=0.2)])

    sideways, upward = (places - middle_of_mass(image)).T
    assert 9 < np.abs(sideways).max() <= 12.01
    assert 4.5 < np.abs(upward).max() <= 6.01
    assert sideways.min() < 0 < sideways.max()
    assert upward.min() < 0 < upward.max()


def test_where_an_image_was_moved_away_from_its_edge_is_repeated() -> None:
    columns = np.tile(np.arange(10, 210, 10, dtype=np.uint8), (20, 1))

    result = moved(copies(columns), shift=0.4)

    assert result.min() >= 10
    assert (np.diff(result.astype(int), axis=2) >= 0).all()
    assert (result[:, :, 0] == 10).any()
    assert (result[:, :, 3] == 10).all(axis=1).any()


def test_zoom_keeps_the_middle_and_changes_the_size_by_at_most_its_part() -> None:
    image = np.zeros((41, 41), np.uint8)
    image[10:31, 10:31] = 100

    result = moved(copies(image), zoom=0.2)

    sides = np.sqrt(result.sum(axis=(1, 2)) / 100)
    assert 16.5 < sides.min() < 18
    assert 24 < sides.max() < 25.5
    for each in result:
        assert middle_of_mass(each) == pytest.approx((20, 20), abs=0.05)


def angle_of_bar(image: np.ndarray) -> float:
    """Of its longest axis to the horizontal, in degrees, clockwise as images have it."""
    rows, columns = np.nonzero(image > 100)
    covariance = np.cov(columns, rows)
    return float(np.degrees(np.arctan2(2 * covariance[0, 1], covariance[0, 0] - covariance[1, 1]) / 2))


def test_rotation_turns_about_the_middle_up_to_its_degrees_to_both_sides() -> None:
    image = np.zeros((61, 61), np.uint8)
    image[29:32, 10:51] = 200

    result = moved(copies(image), rotation_degrees=40)

    angles = [angle_of_bar(each) for each in result]
    assert 35 < max(angles) <= 41
    assert -41 <= min(angles) < -35
    for each in result:
        assert middle_of_mass(each) == pytest.approx((30, 30), abs=0.3)


def test_a_rotated_image_keeps_its_proportions_where_it_is_not_square() -> None:
    image = np.zeros((41, 81), np.uint8)
    image[16:25, 36:45] = 100

    result = moved(copies(image), rotation_degrees=180)

    np.testing.assert_allclose(result.sum(axis=(1, 2)) / 100, 81, rtol=0.05)


def test_shear_slants_uprights_and_leaves_levels() -> None:
    image = np.zeros((41, 41), np.uint8)
    image[:, 19:22] = 200

    result = moved(copies(image), shear=0.2)

    shifts = [middle_of_mass(each[:1])[0] - middle_of_mass(each[-1:])[0] for each in result]
    assert 6.5 < max(shifts) <= 8.1
    assert -8.1 <= min(shifts) < -6.5
    assert all(middle_of_mass(each[20:21])[0] == pytest.approx(20, abs=0.01) for each in result)
    level = np.zeros((41, 41), np.uint8)
    level[20] = 200
    assert (moved(copies(level), shear=0.2) == level).all()


@pytest.mark.parametrize("shape", [(20, 20), (20, 40, 3)])
def test_erase_blanks_a_rectangle_of_its_part_of_both_sides_somewhere(shape: tuple[int, ...]) -> None:
    result = moved(copies(np.full(shape, 50, np.uint8)), erase=0.3)

    blank = result == 0 if len(shape) == 2 else (result == 0).all(axis=3)
    assert (result[~blank] == 50).all()
    heights, widths = blank.any(axis=2).sum(axis=1), blank.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(heights * widths, blank.sum(axis=(1, 2)))
    assert heights.max() == round(0.3 * shape[0])
    assert widths.max() == round(0.3 * shape[1])
    assert len({each.tobytes() for each in blank}) > MANY // 2


def test_the_same_seed_gives_the_same_images_and_another_one_others() -> None:
    pixels = noise(4, 16, 16, 3)
    course = Augmentation(augment=True).model_dump()

    assert np.array_equal(moved(pixels, 1, **course), moved(pixels, 1, **course))
    assert not np.array_equal(moved(pixels, 1, **course), moved(pixels, 2, **course))


def test_every_image_of_a_batch_is_moved_in_its_own_way() -> None:
    result = moved(copies(noise(16, 16)), **Augmentation(augment=True).model_dump())

    assert len({each.tobytes() for each in result}) == MANY


def test_the_three_colours_are_moved_together() -> None:
    gray = noise(8, 16, 12)

    result = moved(np.repeat(gray[..., None], 3, axis=3), **Augmentation(augment=True, erase=0.2).model_dump())

    alone = moved(gray, **Augmentation(augment=True, erase=0.2).model_dump())
    for channel in range(3):
        np.testing.assert_array_equal(result[..., channel], alone)
