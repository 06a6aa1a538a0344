"""What has no rows runs as it is, and looks like one row to the batcher."""

from __future__ import annotations

import numpy as np

from serving.batching.alone import Arrays, alone, as_row, of_row


def text(value: bytes) -> np.ndarray:
    array = np.empty((), dtype=object)
    array[()] = value
    return array


def double(inputs: Arrays) -> dict[str, np.ndarray]:
    assert {name: array.shape for name, array in inputs.items()} == {"scalar": (), "word": (), "list": (3,)}
    assert isinstance(inputs["word"], np.ndarray)
    return {"scalar": inputs["scalar"] * 2, "word": inputs["word"], "list": inputs["list"] * 2}


TENSORS = {"scalar": np.array(3), "word": text(b"ab"), "list": np.arange(3)}


def check(rows: Arrays) -> None:
    assert {name: array.shape for name, array in rows.items()} == {"scalar": (1,), "word": (1,), "list": (1, 3)}
    answer = of_row(rows)
    assert (answer["scalar"], answer["word"][()], answer["list"].tolist()) == (6, b"ab", [0, 2, 4])


def test_the_model_sees_no_row_and_the_batcher_one() -> None:
    check(alone(double)(as_row(TENSORS)))


async def test_a_back_end_on_the_event_loop_likewise() -> None:
    async def run(inputs: Arrays) -> dict[str, np.ndarray]:
        return double(inputs)

    check(await alone(run)(as_row(TENSORS)))
