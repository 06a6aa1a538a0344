"""Element types, and what fits a tensor's specification."""

from __future__ import annotations

import pytest

from serving.signatures import DTYPES, Signature, TensorSpec, format_shape


def test_every_name_and_number_of_an_element_type_is_its_own() -> None:
    for names in zip(*((dtype.name, dtype.tensorflow, dtype.onnx) for dtype in DTYPES.values()), strict=True):
        assert len(set(names)) == len(DTYPES)


@pytest.mark.parametrize(
    ("shape", "fits"),
    [((5, 28, 28), True), ((0, 28, 28), True), ((5, 28), False), ((5, 28, 28, 1), False), ((5, 28, 27), False)],
)
def test_an_array_fits_when_its_rank_and_all_fixed_sizes_do(shape: tuple[int, ...], fits: bool) -> None:
    assert TensorSpec("x", "uint8", (None, 28, 28)).accepts(shape) is fits


def test_an_unknown_dtype_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"unknown dtype 'complex32'; known: float32, .*complex128, .*float4_e2m1fn$"):
        TensorSpec("x", "complex32", ())


def test_free_sizes_are_shown_as_question_marks() -> None:
    assert format_shape((None, 28, 3)) == "[?, 28, 3]"
    assert format_shape(()) == "[]"


@pytest.mark.parametrize(
    ("inputs", "outputs", "batched"),
    [
        ([(None, 2)], [(None, 3)], True),
        ([(None,), (None, 2)], [(None,)], True),
        ([(4, 2)], [(4, 3)], True),
        ([(4, 2)], [(None, 3)], True),
        ([(None, 2)], [()], False),
        ([()], [()], False),
        ([(None, 2), ()], [(None,)], False),
        ([(28, 28)], [(10,)], False),
        ([(None, 2)], [(1, 3)], False),
        ([(2,), (3,)], [(2,)], False),
    ],
)
def test_rows_are_batched_only_where_all_tensors_have_the_same(
    inputs: list[tuple[int | None, ...]], outputs: list[tuple[int | None, ...]], batched: bool
) -> None:
    signature = Signature(
        tuple(TensorSpec(f"in{index}", "float32", shape) for index, shape in enumerate(inputs)),
        tuple(TensorSpec(f"out{index}", "float32", shape) for index, shape in enumerate(outputs)),
    )
    assert signature.is_batched is batched


def test_a_tensor_of_any_rank_takes_every_shape_and_has_no_rows_for_certain() -> None:
    spec = TensorSpec("x", "float32", (), any_rank=True)
    assert spec.accepts(())
    assert spec.accepts((2, 3))
    assert not Signature((TensorSpec("a", "float32", (None,)),), (spec,)).is_batched


def test_a_shape_that_no_array_has_is_not_accepted_nor_written_out() -> None:
    free = TensorSpec("x", "float32", (), any_rank=True)
    assert free.accepts((1,) * 64)
    assert not free.accepts((1,) * 65)
    assert format_shape((7,) * 64) == f"[{', '.join(['7'] * 64)}]"
    assert format_shape((7,) * 10_000) == f"[{', '.join(['7'] * 64)}, … 10,000 in all]"
