"""Collections of image files, by their paths."""

from __future__ import annotations

from training.datasets.image_files import list_of


def test_a_listing_knows_its_folders_without_going_through_all_images_again() -> None:
    images = (("a", "inner", "1.png"), ("a", "inner", "2.png"), ("b", "inner", "1.png"), ("c", "1.png"))
    listing = list_of(images, folders=[("d",)])

    assert listing.folders_in(()) == [("a",), ("b",), ("c",), ("d",)]
    assert listing.folders_in(("a",)) == [("a", "inner")]
    assert listing.folders_in(("d",)) == ()
    assert [listing.has_images_in((name,)) for name in "abcd"] == [False, False, True, False]
