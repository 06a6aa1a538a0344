"""ONNX Runtime as a back end: what it loads, what it answers, and how it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from serving.backends.onnx import OnnxBackend
from serving.bundle import Manifest, read_manifest
from serving.errors import BundleError, InferenceError, InvalidInputError
from serving.signatures import DEFAULT_SIGNATURE, DTYPES, Signature, TensorSpec
from tests.support.bundles import write_bundle
from tests.support.onnx_models import (
    expected_scores,
    write_brightness_model,
    write_gather_model,
    write_identity_model,
    write_two_input_model,
)

ONNX_NUMBER = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int32": TensorProto.INT32,
    "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16,
    "int8": TensorProto.INT8,
    "string": TensorProto.STRING,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
    "uint16": TensorProto.UINT16,
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
    "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64,
}


def load(version_dir: Path, manifest: Manifest | None = None) -> OnnxBackend:
    return OnnxBackend.load(version_dir, manifest, threads=1)


def refusal(version_dir: Path, manifest: Manifest | None = None) -> str:
    with pytest.raises(BundleError) as caught:
        load(version_dir, manifest)
    assert str(version_dir) not in str(caught.value), "no path of the server's disk"
    return str(caught.value)


def strings(*values: bytes) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_element_type_goes_through_unchanged(tmp_path: Path, dtype: str) -> None:
    backend = load(write_identity_model(tmp_path, ONNX_NUMBER[dtype], ["N", 2]))
    array = np.array([[0, 1], [1, 1]], DTYPES[dtype].numpy)
    if dtype == "string":
        array = strings(b"a", b"", "ü".encode(), b"a\0").reshape(2, 2)
    answer = backend.run(DEFAULT_SIGNATURE, {"x": array})["y"]

    assert backend.signatures[DEFAULT_SIGNATURE] == Signature(
        (TensorSpec("x", dtype, (None, 2)),), (TensorSpec("y", dtype, (None, 2)),)
    )
    assert answer.dtype == array.dtype
    assert answer.tolist() == array.tolist()


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_batches_of_any_size_are_answered_row_by_row(tmp_path: Path, rows: int) -> None:
    pixels = np.random.default_rng(rows).integers(0, 256, (rows, 2, 2), dtype=np.uint8)
    answer = load(write_brightness_model(tmp_path)).run(DEFAULT_SIGNATURE, {"pixels": pixels})
    np.testing.assert_array_equal(answer["scores"], expected_scores(pixels))


def test_several_inputs_and_outputs_keep_their_names(tmp_path: Path) -> None:
    backend = load(write_two_input_model(tmp_path))
    answer = backend.run(DEFAULT_SIGNATURE, {"b": np.float32([1]), "a": np.float32([5])})

    assert {name: array.tolist() for name, array in answer.items()} == {"sum": [6], "difference": [4]}


def test_read_only_arrays_are_taken(tmp_path: Path) -> None:
    pixels = np.frombuffer(bytes(4), np.uint8).reshape(1, 2, 2)
    assert load(write_brightness_model(tmp_path)).run(DEFAULT_SIGNATURE, {"pixels": pixels})["scores"].sum() == 0


def test_scalars_and_unknown_ranks_are_told_apart_and_answered(tmp_path: Path) -> None:
    scalar = load(write_identity_model(tmp_path / "scalar", TensorProto.FLOAT, []))
    free = load(write_identity_model(tmp_path / "free", TensorProto.STRING, None))

    assert scalar.signatures[DEFAULT_SIGNATURE].inputs == (TensorSpec("x", "float32", ()),)
    assert free.signatures[DEFAULT_SIGNATURE].outputs == (TensorSpec("y", "string", (), any_rank=True),)
    assert scalar.run(DEFAULT_SIGNATURE, {"x": np.array(2, np.float32)})["y"].shape == ()
    word = strings(b"a").reshape(())
    assert free.run(DEFAULT_SIGNATURE, {"x": word})["y"][()] == b"a"
    assert free.run(DEFAULT_SIGNATURE, {"x": strings(b"a", b"b")})["y"].tolist() == [b"a", b"b"]


def test_the_8_bit_model_is_loaded_where_that_is_asked_for(tmp_path: Path) -> None:
    folder = write_brightness_model(tmp_path / "1")
    other = write_brightness_model(tmp_path / "other", scale=2.0)
    (other / "model.onnx").rename(folder / "model.int8.onnx")
    pixels = np.ones((1, 2, 2), np.uint8)
    answers = [
        OnnxBackend.load(folder, None, threads=1, precision=precision).run(DEFAULT_SIGNATURE, {"pixels": pixels})
        for precision in ("float32", "int8")
    ]
    assert [answer["scores"].tolist() for answer in answers] == [[[1, 1, 1]], [[2, 2, 2]]]


def test_an_8_bit_model_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    folder = write_brightness_model(tmp_path / "1")
    with pytest.raises(BundleError) as caught:
        OnnxBackend.load(folder, None, threads=1, precision="int8")
    assert str(caught.value) == "the onnx back end expects model.int8.onnx, the version has model.onnx only"


def test_a_manifest_that_agrees_is_accepted(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "digits" / "1")
    assert load(folder, read_manifest(folder)).signatures.keys() == {DEFAULT_SIGNATURE}


def test_a_manifest_that_declares_another_signature_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "digits" / "1")
    manifest = read_manifest(folder)
    assert manifest is not None
    other = Signature((TensorSpec("pixels", "uint8", (None, 3, 3)),), manifest.signatures[DEFAULT_SIGNATURE].outputs)
    text = refusal(folder, manifest.model_copy(update={"signatures": {DEFAULT_SIGNATURE: other}}))
    assert text.startswith("model.onnx has the signature ")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x09"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    assert refusal(tmp_path).startswith("model.onnx cannot be loaded by ONNX Runtime: ")


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    path = write_brightness_model(tmp_path) / "model.onnx"
    path.write_bytes(path.read_bytes()[:-20])
    assert "model.onnx cannot be loaded by ONNX Runtime: " in refusal(tmp_path)


def test_missing_weights_are_named_without_the_folder(tmp_path: Path) -> None:
    path = write_brightness_model(tmp_path) / "model.onnx"
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=60)
    (tmp_path / "weights.bin").unlink()
    assert "weights.bin" in refusal(tmp_path)


def test_weights_beside_the_model_are_found(tmp_path: Path) -> None:
    path = write_brightness_model(tmp_path) / "model.onnx"
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=60)
    answer = load(tmp_path).run(DEFAULT_SIGNATURE, {"pixels": np.ones((1, 2, 2), np.uint8)})
    assert answer["scores"].tolist() == [[1, 1, 1]]


@pytest.mark.parametrize(
    ("operator", "output", "kind"),
    [
        ("Identity", helper.make_tensor_value_info("y", TensorProto.FLOAT8E4M3FN, ["N"]), "tensor(float8e4m3fn)"),
        (
            "SequenceConstruct",
            helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None),
            "seq(tensor(float))",
        ),
    ],
)
def test_types_that_no_client_can_ask_for_are_refused(tmp_path: Path, operator: str, output: Any, kind: str) -> None:
    taken = TensorProto.FLOAT if operator == "SequenceConstruct" else TensorProto.FLOAT8E4M3FN
    given = helper.make_tensor_value_info("x", taken, ["N"])
    node = helper.make_node(operator, ["x"], ["y"])
    graph = helper.make_graph([node], "odd", [given], [output])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), tmp_path / "model.onnx"
    )
    assert f"has type {kind}, which has no TensorFlow Serving equivalent here" in refusal(tmp_path)


def test_bfloat16_comes_back_bit_by_bit(tmp_path: Path) -> None:
    backend = load(write_identity_model(tmp_path, TensorProto.BFLOAT16, ["N", 2]))
    bits = np.arange(2**16, dtype=np.uint16).reshape(-1, 2)
    answer = backend.run(DEFAULT_SIGNATURE, {"x": bits.view(DTYPES["bfloat16"].numpy)})["y"]
    assert answer.dtype == DTYPES["bfloat16"].numpy
    assert answer.view(np.uint16).tolist() == bits.tolist()
    no_rows = np.zeros((0, 2), DTYPES["bfloat16"].numpy)
    assert backend.run(DEFAULT_SIGNATURE, {"x": no_rows})["y"].shape == (0, 2)


def test_bfloat16_goes_together_with_other_dtypes(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["wide", "b"], ["y"]),
        ],
        "mixed",
        [
            helper.make_tensor_value_info("x", TensorProto.BFLOAT16, ["N"]),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, ["N"]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "model.onnx")
    inputs = {"x": np.array([0.5, -3], DTYPES["bfloat16"].numpy), "b": np.float32([1, 2])}
    assert load(tmp_path).run(DEFAULT_SIGNATURE, inputs)["y"].tolist() == [1.5, -1.0]


def test_a_bfloat16_operator_that_the_processor_lacks_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    taken, given = (helper.make_tensor_value_info(name, TensorProto.BFLOAT16, ["N"]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "sum", [taken], [given])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "model.onnx")
    assert "NOT_IMPLEMENTED" in refusal(tmp_path)


def test_a_run_that_fails_says_what_onnx_runtime_said_in_one_line(tmp_path: Path) -> None:
    backend = load(write_gather_model(tmp_path, first_row=0, rows=2))
    with pytest.raises(InferenceError, match="out of data bounds, idx=7") as caught:
        backend.run(DEFAULT_SIGNATURE, {"i": np.int64([7])})

    assert "\n" not in str(caught.value)
    assert backend.run(DEFAULT_SIGNATURE, {"i": np.int64([1])})["y"].tolist() == [1]


def test_strings_that_are_no_text_are_the_clients_mistake(tmp_path: Path) -> None:
    backend = load(write_identity_model(tmp_path, TensorProto.STRING, ["N"]))
    with pytest.raises(InvalidInputError, match=r'^input "x": expected UTF-8 strings, received other bytes$'):
        backend.run(DEFAULT_SIGNATURE, {"x": strings(b"ok", b"\xff")})


def test_a_closed_model_does_not_run(tmp_path: Path) -> None:
    backend = load(write_brightness_model(tmp_path))
    backend.close()
    backend.close()
    with pytest.raises(InferenceError, match="the model is closed"):
        backend.run(DEFAULT_SIGNATURE, {"pixels": np.zeros((1, 2, 2), np.uint8)})
