"""The quick way from a JSON body of one tensor to numpy: it gives the bits of the careful way, or nothing."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import InvalidInputError
from serving.signatures import Signature, TensorSpec
from serving.wire import json_tensors
from serving.wire.json_numbers import Numbers, parse_around_numbers
from serving.wire.json_tensors import MIN_QUICK_BYTES, PredictBody, decode_inputs, parse_predict_body
from tests.support.json_bodies import one_input

DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]
"""Those of the quick way."""


def read(body: bytes, spec: TensorSpec) -> np.ndarray | None:
    found = parse_around_numbers(body)
    return None if found is None else found[2].decode(spec)


def spec_of(dtype: str, *shape: int | None) -> TensorSpec:
    return TensorSpec("x", dtype, (None, *shape))


def parse(body: bytes) -> PredictBody:
    """A body as it is parsed where it is long enough for the quick way."""
    return parse_predict_body(body + b" " * MIN_QUICK_BYTES)


def outcome(body: bytes, signature: Signature) -> object:
    """What a body is to a caller: dtype, shape and bits, or the reason for its refusal."""
    try:
        (array,) = decode_inputs(parse(body), signature).values()
    except InvalidInputError as error:
        return str(error)
    return array.dtype, array.shape, array.tobytes()


def careful_outcome(body: bytes, signature: Signature) -> object:
    with mock.patch.object(json_tensors, "parse_around_numbers", return_value=None):
        return outcome(body, signature)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_rows_and_columns_of_every_dtype_take_the_quick_way(dtype: str, separators: tuple[str, str]) -> None:
    limits = np.finfo(dtype) if dtype.startswith("f") else np.iinfo(dtype)
    array = np.array([[[limits.min, 0, 1], [2, 3, limits.max]]], dtype)
    for key, form in (("instances", "rows"), ("inputs", "columns")):
        parsed = parse(json.dumps({key: array.tolist()}, separators=separators).encode())
        assert isinstance(parsed.data, Numbers)
        assert (parsed.form, parsed.signature_name) == (form, "serving_default")
        decoded = parsed.data.decode(spec_of(dtype, 2, 3))
        assert decoded is not None
        assert decoded.dtype == array.dtype
        np.testing.assert_array_equal(decoded, array)


@pytest.mark.parametrize(
    "body",
    [
        b'{"signature_name":"other","instances":[1,2]}',
        b'{"instances":[1,2],"signature_name":"other"}',
        b' { "instances" : [ 1 ,\n2 ] , "signature_name" : "other" } ',
    ],
)
def test_a_signature_may_be_named_before_and_behind(body: bytes) -> None:
    parsed = parse(body)
    assert isinstance(parsed.data, Numbers)
    assert parsed.signature_name == "other"
    decoded = parsed.data.decode(TensorSpec("x", "uint8", (None,)))
    assert decoded is not None
    assert decoded.tolist() == [1, 2]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b'{"instances":1}',
        b'{"instances":[]}',
        b'{"instances":{"x":[1]}}',
        b'{"instances":[{"x":1}]}',
        b'{"instances":[1],"instances":[2]}',
        b'{"instances":[[1],"other":[2]]}',
        b'{"a":"[1]","instances":[1]}',
        b'{"instances":[1],"inputs":[2]}',
        b'{"instances":[1],"signature_name":7}',
        b'{"instances":["a"]}',
        b'{"instances":{"a":[1]}}',
        b'{"instances":"[1]"}',
        b'{"instances":[1],"instances":5}',
        b'{"instances":[1,]}',
        b'{"instances":[1]}}',
        b'{"instances":[NaN]}',
        b'{"instances":[1e999]}',
        b'{"instances":[18446744073709551616]}',
        b'{"instances":[' + b"9" * 50 + b"]}",
        b'{"instances":' + b"[" * 5000,
    ],
)
def test_what_is_no_one_list_is_left_to_the_careful_way(body: bytes) -> None:
    try:
        parsed = parse(body)
    except InvalidInputError:
        return
    assert not isinstance(parsed.data, Numbers)


@pytest.mark.parametrize(
    "values",
    ["[true]", "[null]", '["1"]', "[[1,2]]", "[[[1]]]", "[1,[2]]", "[[1],[]]", "[[],[1]]", "[1.0]", "[256]", "[-1]"],
)
def test_what_does_not_fit_is_left_to_the_careful_way(values: str) -> None:
    assert read(f'{{"instances":{values}}}'.encode(), TensorSpec("x", "uint8", (None,))) is None


@pytest.mark.parametrize(
    "values", ["[[1,2],[3]]", "[[1],[2,3]]", "[1,2,3,4]", "[[1,2,3,4]]", "[[[1,2]],[3,4]]", "[[],[]]"]
)
def test_lists_of_another_form_are_left_to_the_careful_way(values: str) -> None:
    assert read(f'{{"instances":{values}}}'.encode(), spec_of("float32", 2)) is None


def test_brackets_in_a_signatures_name_do_not_count_for_the_tensor() -> None:
    body = b'{"signature_name":"[[,]","instances":[[1,2],[3,4]]}'
    assert outcome(body, one_input("int64", 2)) == careful_outcome(body, one_input("int64", 2))


@pytest.mark.parametrize("spec", [TensorSpec("x", "float32", (), any_rank=True), spec_of("float32", None)])
def test_other_free_sizes_than_the_first_are_left_to_the_careful_way(spec: TensorSpec) -> None:
    assert read(b'{"instances":[[1,2]]}', spec) is None


def test_short_bodies_are_read_with_care() -> None:
    body = b'{"instances":[1]}'
    assert isinstance(parse_predict_body(body.ljust(MIN_QUICK_BYTES)).data, Numbers)
    assert parse_predict_body(body.ljust(MIN_QUICK_BYTES - 1)).data == [1]


def test_a_fixed_number_of_rows_is_held_to() -> None:
    signature = Signature((TensorSpec("x", "int64", (2, 2)),), ())
    body = b'{"instances":[[1,2]]}'
    assert (
        outcome(body, signature)
        == careful_outcome(body, signature)
        == ('input "x": expected shape [2, 2], received [1, 2]')
    )


NUMBERS = st.one_of(st.integers(-300, 300), st.integers(), st.floats(width=32), st.floats(), st.just(-0.0))
TEXTS = st.sampled_from(["-0", "1E5", "0.1e-7", "1e39", "3.4028235677973366e38", "9007199254740993", "true", '"7"', ""])


@settings(max_examples=300)
@given(
    st.sampled_from([*DTYPES, "uint64", "float16", "bool", "string"]),
    st.recursive(NUMBERS.map(json.dumps) | TEXTS, lambda inner: st.lists(inner, max_size=3), max_leaves=12),
    st.sampled_from([(), (1,), (2,), (2, 2), (None,)]),
    st.sampled_from(["instances", "inputs"]),
)
def test_every_body_is_to_a_caller_what_it_is_on_the_careful_way(
    dtype: str, value: Any, shape: tuple[int | None, ...], key: str
) -> None:
    body = f'{{"{key}": {_text([value])}}}'.encode()
    assert outcome(body, one_input(dtype, *shape)) == careful_outcome(body, one_input(dtype, *shape))


@given(
    st.sampled_from([*DTYPES, "uint64", "float16", "bool", "string"]),
    st.lists(NUMBERS, min_size=4, max_size=4),
    st.data(),
)
def test_a_body_with_its_brackets_and_commas_moved_is_what_it_is_on_the_careful_way(
    dtype: str, numbers: list[Any], data: st.DataObject
) -> None:
    body = list(json.dumps({"instances": [numbers[:2], numbers[2:]]}))
    movable = [at for at, character in enumerate(body) if character in "[],"]
    one, other = (data.draw(st.sampled_from(movable)) for _ in range(2))
    body[one], body[other] = body[other], body[one]
    content = "".join(body).encode()
    assert outcome(content, one_input(dtype, 2)) == careful_outcome(content, one_input(dtype, 2))


def _text(value: Any) -> str:
    return f"[{', '.join(map(_text, value))}]" if isinstance(value, list) else value
