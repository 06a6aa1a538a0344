"""Strings in TensorFlow Serving's REST bodies: text, base64, and what is neither."""

from __future__ import annotations

import base64
import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.signatures import Signature, TensorSpec
from tests.support.json_bodies import decode, encode, one_input, refusal


def test_nan_in_a_string_is_only_a_string() -> None:
    assert decode('{"instances":["NaN"]}', one_input("string"))["x"].tolist() == [b"NaN"]
    assert refusal('{"instances":["NaN"]}', one_input("float32")).endswith("expected float32 values, received strings")


@pytest.mark.parametrize("body", [{"instances": ["", ""]}, {"instances": [[{}]]}, {"instances": [[""]]}])
def test_empty_strings_and_objects_are_no_numbers(body: Any) -> None:
    for signature in (one_input("uint8"), one_input("uint8", 1), one_input("uint8", 1, 1)):
        assert refusal(body, signature).startswith('input "x": expected ')


def test_one_long_string_among_numbers_costs_no_more_memory_than_it_has() -> None:
    body = ('{"instances":["' + "a" * 1_000_000 + '"' + ",1" * 1_000 + "]}").encode()
    tracemalloc.start()
    try:
        assert refusal(body, one_input("float32")) == 'input "x": expected float32 values, received strings'
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_bytes_go_in_and_come_out_as_base64(values: list[bytes]) -> None:
    rows = [{"b64": base64.b64encode(value).decode()} for value in values]
    array = decode({"instances": rows}, one_input("string"))["x"]

    assert array.tolist() == values
    assert json.loads(encode("rows", image_bytes=array)) == {"predictions": rows}


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=10), min_size=1, max_size=5))
def test_text_goes_in_and_comes_out_as_text(values: list[str]) -> None:
    array = decode({"instances": values}, one_input("string"))["x"]

    assert array.tolist() == [value.encode() for value in values]
    assert json.loads(encode("rows", label=array)) == {"predictions": values}


def test_text_and_base64_may_stand_side_by_side_in_any_shape() -> None:
    body = {"instances": [["a", {"b64": "Yg=="}], [{"b64": ""}, "ü"]]}
    assert decode(body, one_input("string", 2))["x"].tolist() == [[b"a", b"b"], [b"", "ü".encode()]]


def test_a_named_row_may_hold_base64() -> None:
    assert decode({"instances": [{"x": {"b64": "Yg=="}}]}, one_input("string"))["x"].tolist() == [b"b"]


def test_a_single_value_may_be_bare() -> None:
    scalar = Signature((TensorSpec("x", "string", ()),), ())
    assert decode({"inputs": {"b64": "Yg=="}}, scalar)["x"].item() == b"b"
    assert decode({"inputs": {"x": "b"}}, scalar)["x"].item() == b"b"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"instances":[{"b64":"%%"}]}', '"b64" does not hold base64'),
        ('{"instances":[{"b64":"YQ="}]}', '"b64" does not hold base64'),
        ('{"instances":[{"b64":5}]}', '"b64" does not hold base64'),
        ('{"instances":[{"b64":"ü"}]}', '"b64" does not hold base64'),
        ('{"instances":["a",5]}', 'expected strings or {"b64": …}, received an integer'),
        ('{"instances":["a",null]}', 'expected strings or {"b64": …}, received null'),
        ('{"instances":["a",{"b64":"","c":1}]}', "expected a bare value in row 1 as in row 0, received an object"),
        ('{"inputs":["a",{"b64":"","c":1}]}', 'expected strings or {"b64": …}, received an object'),
        ('{"instances":["a",["b"]]}', 'expected strings or {"b64": …}, received a list'),
        ('{"instances":["\\ud800","NaN"]}', "expected text, received half of a surrogate pair"),
    ],
)
def test_what_is_no_string_is_refused(body: str, reason: str) -> None:
    assert reason in refusal(body, one_input("string"))


def test_ragged_strings_are_refused() -> None:
    assert refusal({"instances": [["a"], ["b", "c"]]}, one_input("string", 1)).endswith("received ragged lists")


def test_bytes_that_are_no_text_are_given_readably() -> None:
    assert json.loads(encode("rows", label=np.array([b"a\xff"], dtype=object))) == {"predictions": ["a\ufffd"]}


def test_strings_stand_beside_numbers() -> None:
    labels = np.array([b"cat", b"dog"], dtype=object)
    assert encode("rows", label=labels, score=np.float32([0.5, np.inf])) == (
        '{"predictions":[{"label":"cat","score":0.5},{"label":"dog","score":Infinity}]}'
    )
