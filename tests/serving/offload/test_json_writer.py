"""Long answers are written in another process, as they would have been here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from serving.errors import InvalidInputError
from serving.offload.helper_process import HelperProcess
from serving.offload.json_writer import MAX_WRITTEN_HERE_BYTES, JsonWriter
from serving.signatures import DTYPES, TensorSpec
from serving.wire.json_tensors import encode_outputs
from serving.wire.oip_json import encode_response

LONG = MAX_WRITTEN_HERE_BYTES // 8 + 1
STRINGS = np.array([b"\xc3\xbc" * MAX_WRITTEN_HERE_BYTES, b"\xff", b""], object)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process() -> AsyncIterator[HelperProcess]:
    process = HelperProcess()
    yield process
    await process.close()


async def test_short_answers_are_written_here(process: HelperProcess) -> None:
    outputs = {"y": np.zeros(10, np.float32)}
    assert await JsonWriter(process).write(outputs.values(), encode_outputs, outputs, "rows")
    assert process.pid is None


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name not in {"string", "bool"}])
async def test_numbers_are_written_alike(dtype: str, process: HelperProcess) -> None:
    outputs = {"y": (np.arange(2 * LONG) % 100).astype(DTYPES[dtype].numpy).reshape(LONG, 2)[:, 1:]}
    written = await JsonWriter(process).write(outputs.values(), encode_outputs, outputs, "rows")
    assert process.pid is not None
    assert written == encode_outputs(outputs, "rows")


async def test_nan_and_strings_and_several_outputs_are_written_alike(process: HelperProcess) -> None:
    floats = np.linspace(0, 1, LONG, dtype=np.float32)
    floats[7] = np.nan
    for outputs in ({"y": floats}, {"y": STRINGS, "z_bytes": STRINGS}):
        written = await JsonWriter(process).write(outputs.values(), encode_outputs, outputs, "columns")
        assert written == encode_outputs(outputs, "columns")


async def test_tensors_with_binary_data_behind_them_are_written_alike(process: HelperProcess) -> None:
    numbers = np.arange(LONG)
    outputs = [(TensorSpec("a", "int64", (None,)), numbers, False), (TensorSpec("b", "int64", (None,)), numbers, True)]
    answer = await JsonWriter(process).write([numbers], encode_response, "model", 3, "7", outputs)
    assert answer == encode_response("model", 3, "7", outputs)
    assert json.loads(answer[0][: answer[1]])["outputs"][0]["data"] == numbers.tolist()


async def test_what_cannot_be_written_is_refused_alike(process: HelperProcess) -> None:
    outputs = {"y": np.zeros(LONG), "z": np.zeros(1)}
    with pytest.raises(InvalidInputError, match="the outputs have no common batch dimension"):
        await JsonWriter(process).write(outputs.values(), encode_outputs, outputs, "rows")
