"""TensorFlow Serving's REST bodies: rows and columns, numbers and strings, and everything that is wrong with one."""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serving.errors import InvalidInputError
from serving.signatures import DTYPES, Signature, TensorSpec
from serving.wire.json_tensors import decode_inputs, decode_values, encode_outputs, parse_predict_body
from tests.support.arrays import arrays
from tests.support.json_bodies import decode, encode, one_input, refusal

NUMBERS = [name for name, dtype in DTYPES.items() if not dtype.is_string]
INTEGERS = [name for name in NUMBERS if DTYPES[name].numpy.kind in "iu"]
FLOATS = ["float16", "bfloat16", "float32", "float64"]
PAIR = Signature((TensorSpec("a", "float32", (None,)), TensorSpec("b", "float32", (None, 2))), ())


# The outer shape of a body


def test_the_default_signature_is_meant_unless_another_is_named() -> None:
    assert parse_predict_body(b'{"instances":[1]}').signature_name == "serving_default"
    assert parse_predict_body(b'{"instances":[1],"signature_name":""}').signature_name == "serving_default"
    assert parse_predict_body(b'{"inputs":1,"signature_name":"regress"}').signature_name == "regress"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("[1]", "JSON body: expected an object, received a list"),
        ("null", "JSON body: expected an object, received null"),
        ("{}", "expected exactly one of 'instances' and 'inputs', received an empty object"),
        ('{"rows":[1],"a":2}', "expected exactly one of 'instances' and 'inputs', received a, rows"),
        ('{"instances":[1],"inputs":[1]}', "expected exactly one of 'instances' and 'inputs', received both"),
        ('{"instances":[]}', "'instances': expected a list of at least one row, received an empty list"),
        ('{"instances":{"x":[1]}}', "'instances': expected a list of at least one row, received an object"),
        ('{"instances":5}', "'instances': expected a list of at least one row, received an integer"),
        ('{"instances":[1],"signature_name":7}', "'signature_name': expected a string, received an integer"),
        ('{"instances":[1],"signature_name":null}', "'signature_name': expected a string, received null"),
    ],
)
def test_a_body_of_the_wrong_form_is_refused(body: str, reason: str) -> None:
    assert refusal(body, one_input("float32")).endswith(reason)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"instances":[1,]}',
        b"\xff\xfe",
        b'{"instances":[nan]}',
        b'{"instances":[1e999]}',
        b"NaN}",
        b"[" * 5000,
    ],
)
def test_what_is_not_json_is_refused_with_what_it_starts_with(body: bytes) -> None:
    text = refusal(body, one_input("float32"))

    assert text.startswith("JSON Parse error: ")
    assert f"received {len(body):,} bytes that start with " in text


def test_a_very_deep_body_with_a_nan_is_refused() -> None:
    assert refusal(b'{"instances":' + b"[" * 100_000 + b"NaN", one_input("float32")).startswith("JSON Parse error: ")


# Rows and columns


def test_rows_of_a_single_input_are_bare_or_objects() -> None:
    for body in ({"instances": [[1, 2], [3, 4]]}, {"instances": [{"x": [1, 2]}, {"x": [3, 4]}]}):
        assert decode(body, one_input("float32", 2))["x"].tolist() == [[1, 2], [3, 4]]


def test_columns_of_a_single_input_are_bare_or_an_object() -> None:
    for body in ({"inputs": [[1, 2], [3, 4]]}, {"inputs": {"x": [[1, 2], [3, 4]]}}):
        assert decode(body, one_input("float32", 2))["x"].tolist() == [[1, 2], [3, 4]]


def test_several_inputs_are_named_in_rows_and_in_columns() -> None:
    by_row = decode({"instances": [{"a": 1, "b": [2, 3]}, {"b": [5, 6], "a": 4}]}, PAIR)
    by_column = decode({"inputs": {"b": [[2, 3], [5, 6]], "a": [1, 4]}}, PAIR)

    for inputs in (by_row, by_column):
        assert list(inputs) == ["a", "b"]
        assert inputs["a"].tolist() == [1, 4]
        assert inputs["b"].tolist() == [[2, 3], [5, 6]]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"instances": [1, 2]}, "'instances': expected objects with the inputs a, b, received an integer"),
        ({"instances": [{"a": 1}]}, "'instances': expected the inputs a, b in row 0, received a"),
        ({"instances": [{}]}, "'instances': expected the inputs a, b in row 0, received none"),
        (
            {"instances": [{"a": 1, "b": [1, 2]}, {"a": 1, "c": 1}]},
            "'instances': expected the inputs a, b in row 1, received a, c",
        ),
        (
            {"instances": [{"a": 1, "b": [1, 2]}, [1]]},
            "'instances': expected an object in row 1 as in row 0, received a list",
        ),
        ({"inputs": {"a": [1]}}, "'inputs': expected a, b, received a"),
        ({"inputs": [1]}, "'inputs': expected an object with a, b, received a list"),
        (
            {"instances": [{"a": 1, "b": [1, 2]}, {"a": 1, "b": [1]}]},
            'input "b": expected rows of one shape [?, 2], received ragged lists',
        ),
    ],
)
def test_wrong_names_of_several_inputs_are_told(body: Any, reason: str) -> None:
    assert refusal(body, PAIR) == reason


def test_long_lists_of_names_are_shortened() -> None:
    names = {f"input_{index}": 1 for index in range(1000)}
    assert len(refusal({"inputs": names}, PAIR)) < 200


# Numbers


@pytest.mark.parametrize("dtype", NUMBERS)
@given(data=st.data(), form=st.sampled_from(["rows", "columns"]))
def test_what_was_encoded_is_decoded_exactly(dtype: str, data: st.DataObject, form: Literal["rows", "columns"]) -> None:
    array = data.draw(arrays(DTYPES[dtype], min_dims=1, min_side=1))
    answer = json.loads(encode_outputs({"x": array}, form))
    body = {"instances": answer["predictions"]} if form == "rows" else {"inputs": answer["outputs"]}
    decoded = decode(body, one_input(dtype, *array.shape[1:]))["x"]

    assert decoded.dtype == array.dtype
    if dtype == "bfloat16":  # whose NaN numpy's comparison does not know
        decoded, array = decoded.astype(np.float64), array.astype(np.float64)
    np.testing.assert_array_equal(decoded, array)


@pytest.mark.parametrize("dtype", FLOATS)
def test_bare_nan_and_infinity_are_taken_and_given(dtype: str) -> None:
    decoded = decode('{"instances":[NaN, Infinity, -Infinity, 1]}', one_input(dtype))["x"]

    np.testing.assert_array_equal(decoded.astype(np.float64), [np.nan, np.inf, -np.inf, 1])
    assert encode("rows", x=decoded) == '{"predictions":[NaN,Infinity,-Infinity,1.0]}'
    assert encode("columns", x=decoded, n=np.int8([1])) == '{"outputs":{"x":[NaN,Infinity,-Infinity,1.0],"n":[1]}}'
    two = encode("rows", x=decoded[:2], y=np.float32([0.1, np.nan]))
    assert two == '{"predictions":[{"x":NaN,"y":0.1},{"x":Infinity,"y":NaN}]}'


def test_floats_are_given_in_their_shortest_form_and_whole_numbers_as_decimals() -> None:
    assert encode("rows", x=np.float32([0.1, 1, -2, 1 / 3])) == '{"predictions":[0.1,1.0,-2.0,0.33333334]}'
    assert encode("rows", x=np.float64([0.1, 1, 1 / 3])) == '{"predictions":[0.1,1.0,0.3333333333333333]}'
    with_nan = np.float32([0.1, np.nan, 1 / 3])
    assert encode("rows", x=with_nan) == '{"predictions":[0.1,NaN,0.33333334]}'
    assert encode("columns", x=np.float32(0.1)) == '{"outputs":0.1}'
    assert encode("columns", x=np.int64(2**62)) == f'{{"outputs":{2**62}}}'


@given(hnp.arrays(np.float32, 3))
def test_float32_survives_a_reader_of_doubles(array: np.ndarray) -> None:
    read = np.array(json.loads(encode("rows", x=array))["predictions"])
    np.testing.assert_array_equal(read.astype(np.float32), array)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_take_the_whole_range_and_nothing_outside(dtype: str) -> None:
    limits = np.iinfo(DTYPES[dtype].numpy)
    whole = {"instances": [limits.min, 0, 1, limits.max]}

    assert decode(whole, one_input(dtype))["x"].tolist() == whole["instances"]
    for outside in (limits.max + 1, limits.min - 1):
        if -(2**63) <= outside < 2**64:
            text = refusal({"instances": [1, outside]}, one_input(dtype))
            assert text == (f'input "x": expected {dtype} values from {limits.min} to {limits.max}, received {outside}')


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize(
    "body", ['{"instances":[1.0]}', '{"instances":[1,2,3e0]}', '{"instances":[18446744073709551616]}']
)
def test_integers_reject_decimals_even_whole_ones(dtype: str, body: str) -> None:
    assert refusal(body, one_input(dtype)) == f'input "x": expected {dtype} values, received decimals'


@pytest.mark.parametrize(
    ("dtype", "number"),
    [
        ("float16", "65520"),
        ("float32", "1e39"),
        ("float32", "-3.5e38"),
        ("float16", "1" + "0" * 30),
        ("bfloat16", "3.4e38"),
    ],
)
@pytest.mark.parametrize("others", ["", ",NaN", ",Infinity"])
def test_a_float_out_of_range_is_refused_whatever_stands_beside_it(dtype: str, number: str, others: str) -> None:
    text = refusal(f'{{"instances":[{number}{others}]}}', one_input(dtype))
    limits = DTYPES[dtype].limits

    assert text.startswith(f'input "x": expected {dtype} values from {limits.min} to {limits.max}, received ')
    assert float(text.rpartition(" ")[2]) == float(number)


def test_a_whole_number_too_large_for_any_float_is_refused() -> None:
    text = refusal('{"instances":[NaN,1' + "0" * 400 + "]}", one_input("float64"))
    assert "expected float64 values from" in text
    assert len(text) < 250


@pytest.mark.parametrize(
    ("dtype", "body", "received"),
    [
        ("float32", {"instances": [True]}, "booleans"),
        ("float32", {"instances": [1.5, False]}, "booleans"),
        ("int32", {"instances": [1, True]}, "booleans"),
        ("bool", {"instances": [1]}, "integers"),
        ("bool", {"instances": [True, 0]}, "integers"),
        ("bool", {"instances": ["true"]}, "strings"),
        ("float32", {"instances": [1, None]}, "null"),
        ("float32", {"instances": [1, "2"]}, "strings"),
        ("uint8", {"instances": [1.5, "2", None]}, "decimals and null and strings"),
        ("float32", {"instances": [{"b64": "AAAA"}]}, "objects"),
        ("float32", {"inputs": {"x": {"y": 1}}}, "strings"),
    ],
)
def test_values_of_another_kind_are_named(dtype: str, body: Any, received: str) -> None:
    assert refusal(body, one_input(dtype)) == f'input "x": expected {dtype} values, received {received}'


def test_booleans_are_taken_for_booleans() -> None:
    assert decode({"instances": [True, False]}, one_input("bool"))["x"].tolist() == [True, False]
    assert encode("rows", x=np.array([True, False])) == '{"predictions":[true,false]}'


@pytest.mark.parametrize(
    ("rows", "received"),
    [
        ([1, 2], "shape [?, 2, 2], received [2]"),
        ([[1, 2]], "shape [?, 2, 2], received [1, 2]"),
        ([[[1, 2, 3], [1, 2, 3]]], "shape [?, 2, 2], received [1, 2, 3]"),
        ([[[[1], [2]], [[3], [4]]]], "shape [?, 2, 2], received [1, 2, 2, 1]"),
        ([[]], "shape [?, 2, 2], received [1, 0]"),
        ([[[], []]], "shape [?, 2, 2], received [1, 2, 0]"),
        ([[[1, 2], [3]]], "rows of one shape [?, 2, 2], received ragged lists"),
        ([[[1, 2], [3, 4]], [[1, 2]]], "rows of one shape [?, 2, 2], received ragged lists"),
        ([[[1, 2], [3, [4]]]], "rows of one shape [?, 2, 2], received ragged lists"),
        ([[[1, 2], 3]], "rows of one shape [?, 2, 2], received ragged lists"),
        ([[1, [2]]], "rows of one shape [?, 2, 2], received ragged lists"),
    ],
)
def test_wrong_shapes_and_ragged_rows_are_told_apart(rows: Any, received: str) -> None:
    assert refusal({"instances": rows}, one_input("uint8", 2, 2)) == f'input "x": expected {received}'


@pytest.mark.parametrize("dtype", ["float32", "string"])
@pytest.mark.parametrize("depth", [70, 900])
def test_very_deep_lists_are_refused(dtype: str, depth: int) -> None:
    assert refusal('{"instances":' + "[" * depth + "]" * depth + "}", one_input(dtype)).startswith(
        'input "x": expected '
    )


# Answers


def test_a_single_output_is_bare_and_several_are_objects() -> None:
    a, b = np.int32([1, 2]), np.float32([[0.5], [1]])

    assert encode("rows", a=a) == '{"predictions":[1,2]}'
    assert encode("rows", a=a, b=b) == '{"predictions":[{"a":1,"b":[0.5]},{"a":2,"b":[1.0]}]}'
    assert encode("columns", a=a) == '{"outputs":[1,2]}'
    assert encode("columns", a=a, b=b) == '{"outputs":{"a":[1,2],"b":[[0.5],[1.0]]}}'


@pytest.mark.parametrize("other", [np.float32([1]), np.float32(1), np.zeros((3, 2), np.float32)])
def test_rows_need_one_first_dimension(other: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match="ask with 'inputs' instead of 'instances'"):
        encode("rows", a=np.int32([1, 2]), b=other)
    assert json.loads(encode("columns", a=np.int32([1, 2]), b=other))["outputs"]["b"] == other.tolist()


def test_arrays_that_are_not_contiguous_are_given_row_by_row() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert json.loads(encode("rows", x=array)) == {"predictions": array.tolist()}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["b64", "x", "y"]), inner, max_size=2)
        ),
        max_leaves=12,
    ),
    st.sampled_from(["instances", "inputs"]),
    st.sampled_from(["uint8", "int64", "float32", "float16", "bfloat16", "bool", "string"]),
)
def test_any_json_is_arrays_of_the_signature_or_invalid_input(value: Any, key: str, dtype: str) -> None:
    signature = one_input(dtype, 2)
    try:
        inputs = decode({key: value}, signature)
    except InvalidInputError:
        return
    assert inputs["x"].dtype == DTYPES[dtype].numpy
    assert signature.inputs[0].accepts(inputs["x"].shape)


@given(
    st.sampled_from(["int8", "uint8", "int32", "uint64", "float32", "float64"]),
    st.recursive(
        st.one_of(st.integers(-300, 300), st.integers(), st.floats(width=32), st.floats(), st.just("7"), st.none()),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=12,
    ),
)
def test_the_quick_way_to_numbers_gives_what_the_careful_one_does(dtype: str, value: Any) -> None:
    for shape in ((None,), (None, None), (None, 2)):
        spec = TensorSpec("x", dtype, shape)
        outcomes = []
        for has_words in (True, False):
            try:
                array = decode_values([value], spec, has_words)
                outcomes.append((array.dtype, array.shape, array.tobytes()))
            except InvalidInputError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]


def test_true_is_no_number_on_any_way() -> None:
    spec = TensorSpec("x", "int32", (None,))
    signature = Signature((spec,), (spec,))
    for words in (b"true", b"1, false"):
        with pytest.raises(InvalidInputError, match="received booleans"):
            decode_inputs(parse_predict_body(b'{"instances": [%s]}' % words), signature)
