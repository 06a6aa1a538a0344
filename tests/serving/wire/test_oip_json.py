"""REST bodies of any form: an array, or a sentence; never anything else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from serving.errors import ServingError
from serving.signatures import DTYPES, Signature, TensorSpec
from serving.wire.oip_answers import Answer
from serving.wire.oip_json import decode_inputs, decode_raw_body, encode_answer, parse_infer_body
from tests.support.arrays import arrays

NUMERIC = [dtype.name for dtype in DTYPES.values() if not dtype.is_string]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
SIZES = st.integers(-2, 5) | st.sampled_from([2**31, 2**62, 2**63, 2**64])
INPUT = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["x", "z"]) | JSON,
        "datatype": st.sampled_from([dtype.oip for dtype in DTYPES.values()]) | JSON,
        "shape": st.lists(SIZES, max_size=3) | JSON,
        "data": st.lists(st.integers(-300, 300) | st.booleans() | st.floats() | st.text(max_size=3), max_size=6) | JSON,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": SIZES | JSON}) | JSON,
    },
)
REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=3) | JSON,
        "inputs": st.lists(INPUT, max_size=2) | JSON,
        "outputs": st.lists(st.dictionaries(st.sampled_from(["name", "parameters"]), JSON), max_size=2) | JSON,
        "parameters": st.dictionaries(st.sampled_from(["binary_data_output", "timeout", "a"]), JSON) | JSON,
    },
)


def signature(dtype: str, *shape: int | None) -> Signature:
    spec = TensorSpec("x", dtype, shape)
    return Signature((spec,), (spec,))


@given(request=REQUEST, binary=st.binary(max_size=24), dtype=st.sampled_from(list(DTYPES)))
@example({"inputs": [{"name": "x", "datatype": "BYTES", "shape": [2**62, 0], "data": []}]}, b"", "string")
@example({"inputs": [{"name": "x", "datatype": "FP32", "shape": [2**62, 0], "data": []}]}, b"", "float32")
def test_any_request_is_arrays_of_the_signature_or_refused(request: Any, binary: bytes, dtype: str) -> None:
    encoded = json.dumps(request).encode()
    try:
        arrays = decode_inputs(parse_infer_body(encoded + binary, len(encoded)), signature(dtype, None, None))
    except ServingError:
        return
    assert arrays["x"].dtype == DTYPES[dtype].numpy
    assert arrays["x"].shape == tuple(request["inputs"][0]["shape"])


@given(body=st.binary(max_size=40), dtype=st.sampled_from(list(DTYPES)), fixed=st.none() | st.integers(0, 4))
def test_any_raw_body_is_an_array_of_the_signature_or_refused(body: bytes, dtype: str, fixed: int | None) -> None:
    expected = signature(dtype, None, fixed)
    try:
        array = decode_raw_body(body, expected)["x"]
    except ServingError:
        return
    assert array.dtype == DTYPES[dtype].numpy
    assert expected.inputs[0].accepts(array.shape)


@given(
    data=st.data(),
    name=st.sampled_from(NUMERIC),
    as_binary=st.booleans(),
    request_id=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)
def test_what_is_answered_is_what_the_model_gave(
    data: st.DataObject, name: str, as_binary: bool, request_id: str | None
) -> None:
    dtype = DTYPES[name]
    array = data.draw(arrays(dtype, min_dims=1, min_side=1))
    content, header_bytes = encode_answer(
        {"y": array}, Answer("m", 3, request_id, [TensorSpec("y", name, ())], {}, ()), {"y": as_binary}
    )
    document = json.loads(content[:header_bytes])
    (output,) = document["outputs"]
    assert document.get("id") == request_id
    assert (output["datatype"], output["shape"]) == (dtype.oip, list(array.shape))
    if as_binary:
        assert header_bytes is not None
        assert content[header_bytes:] == array.tobytes()
        assert output["parameters"] == {"binary_data_size": array.nbytes}
    else:
        assert header_bytes is None
        if name == "bfloat16":  # whose NaN numpy's comparison does not know
            array = array.astype(np.float32)
        found = np.array(output["data"], array.dtype).reshape(array.shape)
        np.testing.assert_array_equal(found, array)
