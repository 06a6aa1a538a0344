"""The published bundle, read by those who will serve it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from export.exporter import Exported
from serving.bundle import read_manifest, record_files, verify_files
from serving.bundle_files import LABELS
from training.run import Run


@pytest.mark.parametrize("rows", [1, 2, 7, 32, 257])
def test_tensorflow_and_onnx_runtime_answer_batches_of_any_size_alike(
    exported: Exported, digits_images: np.ndarray, rows: int
) -> None:
    import onnxruntime
    import tensorflow as tf

    pixels = digits_images[:rows]
    loaded = tf.saved_model.load(str(exported.path))
    from_tensorflow = loaded.signatures["serving_default"](pixels=tf.constant(pixels))["scores"].numpy()
    session = onnxruntime.InferenceSession(str(exported.path / "model.onnx"))
    (from_onnx,) = session.run(["scores"], {"pixels": pixels})

    assert from_tensorflow.shape == (rows, 10)
    np.testing.assert_allclose(from_tensorflow.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(from_onnx, from_tensorflow, atol=1e-5)


def test_the_bundle_answers_like_the_trained_model(
    exported: Exported, digits_run: Run, digits_images: np.ndarray
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported.path / "model.onnx"))
    (scores,) = session.run(["scores"], {"pixels": digits_images})

    trained = digits_run.load_model().predict(digits_images, verbose=0)
    np.testing.assert_allclose(scores, trained, atol=1e-5)


def test_both_models_have_the_names_dtypes_and_shapes_of_the_manifest(exported: Exported) -> None:
    import onnxruntime
    import tensorflow as tf

    session = onnxruntime.InferenceSession(str(exported.path / "model.onnx"))
    tensors = [(tensor.name, tensor.type, tensor.shape) for tensor in session.get_inputs() + session.get_outputs()]
    assert tensors == [
        ("pixels", "tensor(uint8)", ["batch", 8, 8]),
        ("scores", "tensor(float)", ["batch", 10]),
    ]
    loaded = tf.saved_model.load(str(exported.path))
    assert set(loaded.signatures) == set(exported.manifest.signatures)
    _, inputs = loaded.signatures["serving_default"].structured_input_signature
    assert inputs == {"pixels": tf.TensorSpec([None, 8, 8], tf.uint8, "pixels")}
    assert loaded.signatures["serving_default"].structured_outputs == {
        "scores": tf.TensorSpec([None, 10], tf.float32, "scores")
    }
    signature = exported.manifest.signatures["serving_default"]
    assert [(t.name, t.dtype, t.shape) for t in signature.inputs + signature.outputs] == [
        ("pixels", "uint8", (None, 8, 8)),
        ("scores", "float32", (None, 10)),
    ]


def test_the_labels_are_an_asset_of_the_saved_model_one_a_line(exported: Exported) -> None:
    import tensorflow as tf

    assert (exported.path / LABELS).read_text() == "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"
    asset = tf.saved_model.load(str(exported.path)).labels.asset_path.numpy().decode()
    assert asset == str(exported.path / LABELS)


def test_the_manifest_lists_and_fits_every_file(exported: Exported) -> None:
    manifest = read_manifest(exported.path)

    assert manifest == exported.manifest
    assert manifest.files == record_files(exported.path)
    verify_files(exported.path, manifest)
    assert set(manifest.files) == {
        "assets.extra/tf_serving_warmup_requests",
        "assets/labels.txt",
        "model.onnx",
        "parity.md",
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    }


def test_the_manifest_says_where_the_weights_come_from_and_what_was_proven(exported: Exported, digits_run: Run) -> None:
    manifest = exported.manifest

    assert (manifest.name, manifest.task, manifest.labels) == ("digits", "classification", tuple("0123456789"))
    assert manifest.training is not None
    assert manifest.training.dataset_sha256 == digits_run.config.dataset_sha256
    assert manifest.metrics == {"accuracy": pytest.approx(digits_run.metrics.value, abs=1e-6)}
    assert [(parity.runtime, parity.reference) for parity in manifest.parity] == [
        ("tensorflow", "keras"),
        ("onnx", "keras"),
    ]
    for parity in manifest.parity:
        assert parity.examples == 360 + 3 * (1 + 2 + 7 + 32 + 257)
        assert parity.max_abs_difference < 1e-5
        assert parity.top1_agreement == 1
        assert parity.accuracy == pytest.approx(digits_run.metrics.value, abs=1e-6)
        assert parity.latency_ms_batch_1 is not None
        assert parity.latency_ms_batch_32 is not None
        assert parity.latency_ms_batch_1 > 0 < parity.latency_ms_batch_32
    assert manifest.parity[1].size_bytes == manifest.files["model.onnx"].size_bytes
    assert manifest.allowed == {}


def test_the_onnx_file_carries_its_labels_and_origin(exported: Exported) -> None:
    import onnx

    model = onnx.load(exported.path / "model.onnx")
    facts = {entry.key: json.loads(entry.value) for entry in model.metadata_props}

    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert model.graph.name == facts["atelier.recipe"] == "digits-test"
    assert facts["atelier.labels"] == list("0123456789")
    assert facts["atelier.image"] == {"height": 8, "width": 8, "colour": "grayscale", "resize": "bilinear"}
    assert facts["atelier.dataset_sha256"] == exported.manifest.training.dataset_sha256  # type: ignore[union-attr]
