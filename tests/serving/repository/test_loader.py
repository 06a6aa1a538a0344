"""Loading a version: verify, open, warm up; and every reason not to."""

from __future__ import annotations

import math
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow as tf
from onnx import TensorProto
from tensorflow_serving.apis import prediction_log_pb2

from serving.backends.onnx import OnnxBackend
from serving.batching.settings import BatchSettings
from serving.bundle_files import MANIFEST, WARM_UP
from serving.errors import BundleError
from serving.model_config import ModelConfig
from serving.repository.loader import Loaded, LoadOptions, load_version
from serving.repository.warm_up import warm_up
from serving.signatures import DEFAULT_SIGNATURE, TENSORFLOW_DTYPES, Signature, Tensors, TensorSpec
from tests.support.bundles import damage, write_bundle
from tests.support.foreign_models import write_echo, write_unbatched
from tests.support.onnx_models import (
    LABELS,
    expected_scores,
    write_brightness_model,
    write_gather_model,
    write_identity_model,
)
from tests.support.repository_stand import EchoBackend


def load(version_dir: Path, gateway: BatchSettings | None = None, own: BatchSettings | None = None) -> Loaded:
    options = LoadOptions(gateway or BatchSettings(max_batch_size=8), onnx_threads=1)
    return load_version(version_dir, ModelConfig(base_path="/", batching=own), options)


def refusal(version_dir: Path) -> str:
    with pytest.raises(BundleError) as caught:
        load(version_dir)
    assert str(version_dir) not in str(caught.value), "no path of the server's disk"
    return str(caught.value)


def test_a_bundle_gives_a_model_with_its_labels_and_image_settings(tmp_path: Path) -> None:
    loaded = load(write_bundle(tmp_path / "digits" / "1"))
    pixels = np.uint8([[[1, 2], [3, 4]]])

    assert loaded.labels == LABELS
    assert loaded.image is not None
    assert loaded.image.shape == (2, 2)
    answer = loaded.backend.run(DEFAULT_SIGNATURE, {"pixels": pixels})
    np.testing.assert_array_equal(answer["scores"], expected_scores(pixels))


def test_a_bare_onnx_model_is_a_version_too(tmp_path: Path) -> None:
    loaded = load(write_brightness_model(tmp_path / "1"))

    assert (loaded.labels, loaded.image) == ((), None)
    assert loaded.backend.signatures[DEFAULT_SIGNATURE].inputs[0].shape == (None, 2, 2)


@pytest.mark.parametrize(
    ("gateway", "own", "expected"),
    [
        (BatchSettings(max_batch_size=64), None, {1, 64}),
        (BatchSettings(max_batch_size=1), None, {1}),
        (BatchSettings(max_batch_size=64), BatchSettings(max_batch_size=16), {1, 16}),
        (BatchSettings(max_batch_size=64), BatchSettings(allowed_batch_sizes=(4, 8, 32)), {4, 8, 32}),
    ],
    ids=["of the gateway", "single rows", "of the model", "that are padded to"],
)
def test_a_version_is_warmed_up_with_the_batches_that_it_will_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gateway: BatchSettings,
    own: BatchSettings | None,
    expected: set[int],
) -> None:
    seen: list[int] = []
    run = OnnxBackend.run

    def watched(self: OnnxBackend, signature_name: str, inputs: Tensors) -> dict[str, np.ndarray]:
        seen.append(len(inputs["pixels"]))
        return run(self, signature_name, inputs)

    monkeypatch.setattr(OnnxBackend, "run", watched)
    costs = load(write_brightness_model(tmp_path / "1"), gateway, own).costs[DEFAULT_SIGNATURE]
    assert set(seen) == expected
    assert all(costs.predict_s(rows) < math.inf for rows in expected)


def test_batching_that_does_not_go_with_the_gateways_is_a_reason(tmp_path: Path) -> None:
    gateway, own = BatchSettings(allowed_batch_sizes=(4, 8)), BatchSettings(max_batch_size=2)
    with pytest.raises(BundleError, match=r"^its batching does not go with the gateway's: allowed_batch_sizes"):
        load(write_brightness_model(tmp_path / "1"), gateway, own)


def test_a_fixed_batch_size_is_warmed_up_as_it_is(tmp_path: Path) -> None:
    cost = load(write_brightness_model(tmp_path / "1", batch=4)).costs[DEFAULT_SIGNATURE]
    assert cost.predict_s(4) < math.inf
    assert cost.predict_s(1) == math.inf


@pytest.mark.parametrize(("quick_s", "onnx_threads", "expected"), [(1e3, 0, 1), (0.0, 0, 3), (1e3, 2, 2), (0.0, 2, 2)])
def test_a_quick_model_gets_one_thread_and_others_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_s: float, onnx_threads: int, expected: int
) -> None:
    monkeypatch.setattr("serving.repository.loader._QUICK_S", quick_s)
    monkeypatch.setattr(OnnxBackend, "load", Mock(wraps=OnnxBackend.load))
    options = LoadOptions(BatchSettings(max_batch_size=8), onnx_threads=onnx_threads, cores=3)
    loaded = load_version(write_brightness_model(tmp_path / "1"), ModelConfig(base_path="/"), options)

    assert OnnxBackend.load.call_args.kwargs["threads"] == expected  # type: ignore[attr-defined]
    assert loaded.backend.run(DEFAULT_SIGNATURE, {"pixels": np.zeros((1, 2, 2), np.uint8)})


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [(TensorProto.FLOAT, ["N", "M"]), (TensorProto.STRING, ["N"])],
    ids=["a free size", "strings"],
)
def test_inputs_that_nobody_can_make_up_are_not_warmed_up(tmp_path: Path, dtype: int, shape: list[str]) -> None:
    loaded = load(write_identity_model(tmp_path / "1", dtype, shape))
    assert loaded.costs[DEFAULT_SIGNATURE].predict_s(1) == math.inf


def test_a_model_without_a_batch_dimension_is_warmed_up_as_it_is(tmp_path: Path) -> None:
    loaded = load(write_identity_model(tmp_path / "1", TensorProto.FLOAT, []))
    assert loaded.costs[DEFAULT_SIGNATURE].predict_s(1) < math.inf


def test_a_damaged_file_is_found_before_it_is_opened(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "digits" / "1")
    damage(folder)
    assert refusal(folder).startswith("model.onnx has checksum ")


def test_a_broken_manifest_is_a_reason(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "digits" / "1")
    (folder / MANIFEST).write_text("{")
    assert refusal(folder).startswith("manifest.json is not valid: ")


def test_a_manifest_that_cannot_be_read_is_a_reason(tmp_path: Path) -> None:
    folder = write_brightness_model(tmp_path / "1")
    (folder / MANIFEST).mkdir()
    assert refusal(folder) == "the version's files cannot be read: Is a directory"


def test_an_empty_folder_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    assert refusal(tmp_path / "1") == (
        "the onnx back end expects model.onnx, the version has neither that nor a SavedModel"
    )


def test_a_saved_model_alone_is_not_for_this_back_end(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    assert refusal(tmp_path) == "the onnx back end expects model.onnx, the version has a SavedModel only"


def test_a_model_that_cannot_run_is_found_in_its_warm_up(tmp_path: Path) -> None:
    text = refusal(write_gather_model(tmp_path / "1", first_row=10, rows=2))
    assert text.startswith("the model fails in its warm-up: ONNX Runtime failed: ")
    assert "out of data bounds" in text


def test_the_requests_of_a_versions_own_warm_up_file_are_run(tmp_path: Path) -> None:
    folder = write_gather_model(tmp_path / "1", first_row=0, rows=2)
    write_warm_up(folder, np.int64([0, 1]))
    assert load(folder).backend.signatures.keys() == {DEFAULT_SIGNATURE}

    write_warm_up(folder, np.int64([7]))
    text = refusal(folder)
    assert text.startswith("the model fails in its warm-up: ONNX Runtime failed: ")
    assert "out of data bounds" in text


def test_a_model_that_answers_nan_is_loaded_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(write_bundle(tmp_path / "digits" / "1"))
    assert not caplog.messages
    assert load(write_bundle(tmp_path / "digits" / "2", scale=math.nan)).backend.signatures.keys() == {
        DEFAULT_SIGNATURE
    }
    assert caplog.messages == ["digits version 2 answers NaN in its warm-up, in scores: is it trained?"]


@pytest.mark.parametrize("dtype", TENSORFLOW_DTYPES)
def test_what_is_no_number_is_found_in_whatever_floats_a_model_answers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, dtype: str
) -> None:
    element = TENSORFLOW_DTYPES[dtype]
    signature = Signature((TensorSpec("x", "float32", (None,)),), (TensorSpec("y", dtype, (None,)),))
    answer = np.array([b"nan"], object) if element.is_string else np.array([1], element.numpy)
    has_nan = element.kind in "fc" and dtype != "float4_e2m1fn"
    if has_nan:
        answer += np.array(math.nan, answer.dtype)
    backend = EchoBackend({DEFAULT_SIGNATURE: signature})
    backend.run = lambda _name, _inputs: {"y": answer}  # type: ignore[method-assign]

    warm_up(backend, tmp_path, (1,))
    assert len(caplog.messages) == has_nan


def write_warm_up(version_dir: Path, indices: np.ndarray) -> None:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.inputs["i"].CopyFrom(tf.make_tensor_proto(indices))
    path = version_dir / WARM_UP
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        file.write(log.SerializeToString())


def test_a_saved_model_without_a_manifest_is_a_version_of_the_tensorflow_back_end(tmp_path: Path) -> None:
    folder = write_echo(tmp_path / "1")
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "labels.txt").write_text("a\nb\n")
    loaded = load_version(folder, ModelConfig(base_path="/", backend="tensorflow"), LoadOptions())

    assert (loaded.labels, loaded.image, loaded.task) == (("a", "b"), None, None)
    assert loaded.backend.platform == "tensorflow_savedmodel"
    text = np.array([b"AB"], dtype=object)
    assert loaded.backend.run(DEFAULT_SIGNATURE, {"text": text})["lower"].tolist() == [b"ab"]


def test_a_model_that_takes_no_zeros_is_not_warmed_up_with_them(tmp_path: Path) -> None:
    folder = write_unbatched(tmp_path / "1")
    loaded = load_version(folder, ModelConfig(base_path="/", backend="tensorflow"), LoadOptions())
    assert loaded.costs["three"].predict_s(1) == math.inf


def test_the_precision_is_the_models_own(tmp_path: Path) -> None:
    folder = write_brightness_model(tmp_path / "1")
    config = ModelConfig(base_path="/", precision="int8")
    with pytest.raises(BundleError, match=r"expects model\.int8\.onnx, the version has model\.onnx only"):
        load_version(folder, config, LoadOptions())
