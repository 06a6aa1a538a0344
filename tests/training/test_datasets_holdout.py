"""What is held out of a data set without splits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.datasets.holdout import held_out


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.floats(0.05, 0.5))
def test_what_is_held_out_is_that_part_of_every_class(classes: list[int], fraction: float) -> None:
    targets = np.array(classes, dtype=np.int64)

    chosen = held_out([str(position) for position in range(len(targets))], targets, fraction)

    for target in set(classes):
        members = targets == target
        count = int(members.sum())
        expected = 0 if count == 1 else min(max(1, round(fraction * count)), count - 1)
        assert int((chosen & members).sum()) == expected


def test_an_image_that_is_added_moves_hardly_any_other() -> None:
    names = [f"{position}.jpg" for position in range(200)]
    before = held_out(names[:-1], np.zeros(199, np.int64), 0.2)
    after = held_out(names, np.zeros(200, np.int64), 0.2)

    assert int((before != after[:-1]).sum()) <= 1
