"""What is read in another process is what would have been read here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from serving.errors import DeadlineExceededError, PayloadTooLargeError, ServingError
from serving.frontends.http import loop_time
from serving.frontends.oip_rest import _TENSORS
from serving.frontends.tfs_rest import _ROWS_OR_COLUMNS
from serving.offload.helper_process import HelperProcess
from serving.offload.json_reader import MAX_READ_HERE_BYTES, MAX_READ_HERE_MEMBERS, JsonReader
from serving.signatures import DTYPES, Signature, TensorSpec
from serving.wire.image_bodies import parse_json
from serving.wire.json_examples import parse_examples_body
from serving.wire.json_limits import JsonLimits

LIMITS = JsonLimits(max_json_bytes=2_000_000, max_json_lists=100_000, max_json_objects=10_000)
PADDING = b" " * MAX_READ_HERE_BYTES


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader() -> AsyncIterator[JsonReader]:
    process = HelperProcess()
    yield JsonReader(LIMITS, process)
    await process.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


def signature(dtype: str, *shape: int | None) -> Signature:
    return Signature((TensorSpec("x", dtype, shape),), ())


async def outcome(
    reader: JsonReader, form: Any, body: bytes, signature: Signature, json_bytes: int | None = None
) -> tuple[Any, Any]:
    """The request and its arrays as something to compare, or the refusal."""
    try:
        request, decode = await reader.open(form, body, json_bytes=json_bytes)
        inputs = decode(signature)
        if not isinstance(inputs, dict):
            inputs = await inputs
    except ServingError as error:
        return type(error), str(error)
    shown = {name: (array.dtype, array.shape, array.tolist()) for name, array in inputs.items()}
    return form.without_data(request), repr(shown)


ROWS: dict[str, tuple[Any, Signature]] = {
    **{
        f"rows of {dtype}": ({"instances": [[1, 0], [0, 1]]}, signature(dtype, None, 2))
        for dtype in DTYPES
        if dtype not in {"string", "bool"}
    },
    "booleans": ({"instances": [True, False]}, signature("bool", None)),
    "strings": ({"instances": [["a", ""], [{"b64": "AP8="}, "é"]]}, signature("string", None, 2)),
    "no strings": ({"inputs": []}, signature("string", None)),
    "many strings": ({"instances": [str(number) for number in range(10_000)]}, signature("string", None)),
    "a scalar": ({"inputs": 3}, signature("int32")),
    "NaN": ({"inputs": [float("nan"), float("inf")]}, signature("float32", None)),
    "another signature": ({"inputs": [1], "signature_name": "other"}, signature("int64", None)),
    "ragged": ({"instances": [[1], [1, 2]]}, signature("float32", None, 2)),
    "out of range": ({"instances": [256]}, signature("uint8", None)),
    "neither rows nor columns": ({}, signature("uint8", None)),
}


@pytest.mark.parametrize("name", ROWS)
async def test_rows_and_columns_are_read_alike(name: str, reader: JsonReader) -> None:
    document, of = ROWS[name]
    body = json.dumps(document).encode()
    here = await outcome(reader, _ROWS_OR_COLUMNS, body, of)
    apart = await outcome(reader, _ROWS_OR_COLUMNS, PADDING + body, of)
    assert apart == here


async def test_what_is_no_json_is_refused_where_it_is_no_json(reader: JsonReader) -> None:
    kind, text = await outcome(reader, _ROWS_OR_COLUMNS, PADDING + b"nothing", signature("uint8", None))
    assert kind.__name__ == "InvalidInputError"
    assert f"at line 1 column {len(PADDING) + 1}; received {len(PADDING) + 7:,} bytes" in text


async def test_tensors_with_binary_data_behind_them_are_read_alike(reader: JsonReader) -> None:
    tensor = {"name": "x", "datatype": "INT32", "shape": [2], "parameters": {"binary_data_size": 8}}
    header = json.dumps({"id": "7", "inputs": [tensor]}).encode()
    binary, of = np.int32([1, -2]).tobytes(), signature("int32", None)
    here = await outcome(reader, _TENSORS, header + binary, of, len(header))
    apart = await outcome(reader, _TENSORS, PADDING + header + binary, of, len(PADDING + header))
    assert apart == here
    assert "[1, -2]" in apart[1]


@pytest.mark.parametrize(
    ("parse", "args", "document"),
    [
        (parse_examples_body, (), {"examples": [{"x": [1, 2]}, {"x": 3}], "context": {"y": "a"}}),
        (parse_examples_body, (), {"examples": [{"x": [None]}]}),
        (parse_json, (2,), {"images": [{"b64": "AAAA"}]}),
    ],
    ids=["examples", "no examples", "images"],
)
async def test_whole_bodies_are_read_alike(
    parse: Callable[..., Any], args: tuple[Any, ...], document: Any, reader: JsonReader
) -> None:
    body = json.dumps(document).encode()

    async def read(body: bytes) -> Any:
        try:
            return await reader.read(parse, body, *args)
        except ServingError as error:
            return type(error), str(error)

    assert await read(PADDING + body) == await read(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b" " * 2_000_001, "JSON: expected at most 2,000,000 bytes, received more"),
        (PADDING + b"[]" * 100_001, "JSON: expected at most 100,000 lists, received 100,001"),
        (PADDING + b"{}" * 10_001, "JSON: expected at most 10,000 objects, received 10,001"),
    ],
    ids=["bytes", "lists", "objects"],
)
async def test_the_limits_hold(body: bytes, reason: str, reader: JsonReader) -> None:
    assert await outcome(reader, _ROWS_OR_COLUMNS, body, signature("uint8", None)) == (PayloadTooLargeError, reason)


async def test_who_asks_by_another_signature_gets_what_that_one_takes(reader: JsonReader) -> None:
    _, decode = await reader.open(_ROWS_OR_COLUMNS, PADDING + b'{"instances": [1]}')
    for dtype in ("float32", "int64"):
        inputs: Any = decode(signature(dtype, None))
        assert (await inputs)["x"].dtype == dtype


async def test_a_deadline_ends_the_waiting(reader: JsonReader) -> None:
    with pytest.raises(DeadlineExceededError, match="the deadline passed before the request was read"):
        await reader.open(_ROWS_OR_COLUMNS, PADDING + b"{}", deadline=loop_time())


async def test_short_bodies_start_no_process() -> None:
    process = HelperProcess()
    await JsonReader(LIMITS, process).open(_ROWS_OR_COLUMNS, b'{"instances": [1]}')
    assert process.pid is None
    await process.close()


async def test_short_bodies_of_many_small_members_are_read_apart() -> None:
    process = HelperProcess()
    reader = JsonReader(LIMITS, process)
    for count in (10, MAX_READ_HERE_MEMBERS):
        body = b'{"examples":[' + b",".join([b'{"a":1}'] * count) + b"]}"
        assert len(body) < MAX_READ_HERE_BYTES
        assert await reader.read(parse_examples_body, body) == parse_examples_body(body)
        assert (process.pid is None) == (count == 10)
    await process.close()
