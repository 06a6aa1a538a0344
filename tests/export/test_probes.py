"""What models are asked that have no data, or besides it."""

from __future__ import annotations

import numpy as np

from export.probes import PROBE_BATCHES, probes
from serving.signatures import Signature, TensorSpec


def signature(*specs: TensorSpec) -> Signature:
    return Signature(inputs=specs, outputs=())


def test_probes_are_always_the_same() -> None:
    given = signature(TensorSpec("x", "float32", (None, 3)), TensorSpec("words", "string", (None,)))
    first, second = probes(given), probes(given)

    assert list(first) == list(second)
    for title in first:
        for one, other in zip(first[title], second[title], strict=True):
            assert all(np.array_equal(one[name], other[name]) for name in ("x", "words"))


def test_several_inputs_are_extreme_together_and_their_title_says_how() -> None:
    found = probes(signature(TensorSpec("pixels", "uint8", (None, 2, 2)), TensorSpec("token", "int64", (None,))))

    assert list(found) == ["all 0", "all 255, 1", "random"]
    assert [batch["pixels"].shape for batch in found["random"]] == [(rows, 2, 2) for rows in PROBE_BATCHES]
    assert [len(batch["token"]) for batch in found["random"]] == list(PROBE_BATCHES)
    assert {int(batch["token"].max()) for batch in found["all 255, 1"]} == {1}


def test_strings_are_bytes_and_free_sizes_are_filled() -> None:
    found = probes(signature(TensorSpec("text", "string", (None, None))))

    assert list(found) == ["all ''", "all 'a'", "random"]
    assert found["random"][0]["text"].shape == (1, 32)
    assert all(isinstance(word, bytes) for word in found["random"][3]["text"].ravel())


def test_a_fixed_batch_or_none_at_all_is_asked_once() -> None:
    assert [batch["x"].shape for batch in probes(signature(TensorSpec("x", "float32", (4, 3))))["all 0"]] == [(4, 3)]
    assert [batch["x"].shape for batch in probes(signature(TensorSpec("x", "int32", ())))["all 1"]] == [()]
