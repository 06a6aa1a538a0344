"""Long answers are written in another process, byte for byte as they would have been here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from serving.errors import InvalidInputError
from serving.offload.answer_writer import MAX_WRITTEN_HERE_BYTES, MAX_WRITTEN_HERE_VALUES, AnswerWriter
from serving.offload.helper_process import HelperProcess
from serving.signatures import DTYPES, TensorSpec
from serving.wire import (
    example_results,
    image_answers,
    infer_messages,
    json_examples,
    json_tensors,
    oip_json,
    predict_messages,
)
from serving.wire.oip_answers import Answer

LONG = MAX_WRITTEN_HERE_VALUES + 1
STRINGS = np.array([b"\xc3\xbc" * MAX_WRITTEN_HERE_BYTES, b"\xff", b""], object)
NUMBERS = np.arange(LONG)
CLASSES = {
    "classes": np.broadcast_to(np.array([b"a", b"\xff", b""], object), (LONG, 3)),
    "scores": np.arange(3 * LONG, dtype=np.float32).reshape(LONG, 3),
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process() -> AsyncIterator[HelperProcess]:
    process = HelperProcess()
    yield process
    await process.close()


@pytest.fixture
def writer(process: HelperProcess) -> AnswerWriter:
    return AnswerWriter(process)


def many_strings() -> np.ndarray:
    strings = np.empty(2 * LONG, object)
    strings[:] = [b"%d" % (number % 1000) for number in range(2 * LONG)]
    return strings[::2]


async def test_short_answers_and_what_is_copied_are_written_here(process: HelperProcess, writer: AnswerWriter) -> None:
    short, copied = {"y": np.zeros(10, np.float32)}, {"y": np.zeros(2 * LONG, np.float32)}
    assert await writer.write(short.values(), json_tensors.encode_outputs, short, "rows")
    one_by_one = predict_messages.written_one_by_one(copied)
    specs = [TensorSpec("y", "float32", (None,))]
    assert await writer.write(one_by_one, predict_messages.encode_outputs, copied, specs)
    assert process.pid is None


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name not in {"string", "bool"}])
async def test_json_of_numbers_is_written_alike(dtype: str, process: HelperProcess, writer: AnswerWriter) -> None:
    outputs = {"y": (np.arange(2 * LONG) % 100).astype(DTYPES[dtype].numpy).reshape(LONG, 2)[:, 1:]}
    written = await writer.write(outputs.values(), json_tensors.encode_outputs, outputs, "rows")
    assert process.pid is not None
    assert written == json_tensors.encode_outputs(outputs, "rows")


async def test_json_of_nan_and_strings_and_several_outputs_is_written_alike(writer: AnswerWriter) -> None:
    floats = np.linspace(0, 1, LONG, dtype=np.float32)
    floats[7] = np.nan
    for outputs in ({"y": floats}, {"y": STRINGS, "z_bytes": STRINGS}, {"y": many_strings()}):
        written = await writer.write(outputs.values(), json_tensors.encode_outputs, outputs, "columns")
        assert written == json_tensors.encode_outputs(outputs, "columns")


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name not in {"float32", "float64"}])
async def test_messages_of_predict_are_written_alike(dtype: str, writer: AnswerWriter) -> None:
    array = many_strings() if dtype == "string" else (NUMBERS % 2).astype(DTYPES[dtype].numpy)
    outputs, specs = {"y": array, "z": np.float32([[0.5]])}, [TensorSpec("y", dtype, (None,))]
    one_by_one = predict_messages.written_one_by_one(outputs)
    assert [found is array for found in one_by_one] == [True]
    written = await writer.write(one_by_one, predict_messages.encode_outputs, outputs, specs)
    assert written == predict_messages.encode_outputs(outputs, specs)


@pytest.mark.parametrize(
    "encode",
    [
        example_results.encode_classification,
        example_results.encode_regression,
        json_examples.encode_classification,
        json_examples.encode_regression,
    ],
)
async def test_classes_and_regressions_are_written_alike(
    encode: example_results.Encode, process: HelperProcess, writer: AnswerWriter
) -> None:
    outputs = CLASSES if "classification" in encode.__name__ else {"outputs": NUMBERS.astype(np.float32)}
    written = await writer.write(outputs.values(), encode, outputs)
    assert process.pid is not None
    assert written == encode(outputs)


async def test_classes_of_images_are_written_alike(process: HelperProcess, writer: AnswerWriter) -> None:
    scores, answer = {"y": CLASSES["scores"]}, image_answers.ImagesAnswer("model", 3, ("x", "ü"), 2, is_single=False)
    written = await writer.write(scores.values(), image_answers.encode_answer, scores, answer)
    assert process.pid is not None
    assert written == image_answers.encode_answer(scores, answer)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("count", [0, 2])
async def test_inferences_are_written_alike(raw: bool, count: int, writer: AnswerWriter) -> None:
    arrays = {"a": NUMBERS, "b": many_strings(), "c": CLASSES["scores"]}
    dtypes = zip(arrays, ("int64", "string", "float32"), strict=True)
    specs = [TensorSpec(name, dtype, (None,)) for name, dtype in dtypes]
    answer = Answer("model", 3, "7", specs, {"c": count}, ("x", "y", "z"))
    one_by_one = infer_messages.written_one_by_one(arrays, answer, raw=raw)
    assert len(one_by_one) == 1 + (not raw) + bool(count)
    message = await writer.write(one_by_one, infer_messages.encode_answer, arrays, answer, raw=raw)
    assert message == infer_messages.encode_answer(arrays, answer, raw=raw)

    as_binary = dict.fromkeys(arrays, raw)
    assert len(oip_json.written_one_by_one(arrays, answer, as_binary)) == (1 + bool(count) if raw else 3)
    body = await writer.write(arrays.values(), oip_json.encode_answer, arrays, answer, as_binary)
    assert body == oip_json.encode_answer(arrays, answer, as_binary)


async def test_tensors_with_binary_data_behind_them_are_written_alike(writer: AnswerWriter) -> None:
    arrays, as_binary = {"a": NUMBERS, "b": NUMBERS}, {"a": False, "b": True}
    answer = Answer("model", 3, "7", [TensorSpec(name, "int64", (None,)) for name in arrays], {}, ())
    content, json_bytes = await writer.write([NUMBERS], oip_json.encode_answer, arrays, answer, as_binary)
    assert (content, json_bytes) == oip_json.encode_answer(arrays, answer, as_binary)
    assert json.loads(content[:json_bytes])["outputs"][0]["data"] == NUMBERS.tolist()


async def test_what_cannot_be_written_is_refused_alike(writer: AnswerWriter) -> None:
    outputs = {"y": np.zeros(LONG), "z": np.zeros(1)}
    with pytest.raises(InvalidInputError, match="the outputs have no common batch dimension"):
        await writer.write(outputs.values(), json_tensors.encode_outputs, outputs, "rows")
    with pytest.raises(InvalidInputError, match="Expected scores Tensor of DT_FLOAT"):
        await writer.write(outputs.values(), example_results.encode_classification, {"scores": np.zeros((LONG, 1))})
