"""Every kind of model: a regression, colour images, one sigmoid unit; written, proven, and held against the run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from export import probes as probing
from export import runtimes
from export.errors import WrongUseError
from export.exporter import Exported, ParityError
from export.probes import batches, probes
from export.sources.run import model_name
from serving.bundle import read_manifest
from serving.images import ImageSpec
from serving.signatures import Signature, TensorSpec
from tests.support.exports import export_run
from training.run import Run


def onnx_answer(exported: Exported, inputs: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported.path / "model.onnx"))
    (answer,) = session.run(None, {session.get_inputs()[0].name: inputs})
    return np.asarray(answer)


def tensorflow_answer(exported: Exported, inputs: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    function = tf.saved_model.load(str(exported.path)).signatures["serving_default"]
    (spec,) = exported.manifest.signatures["serving_default"].inputs
    (answer,) = function(**{spec.name: tf.constant(inputs)}).values()
    return np.asarray(answer.numpy())


def test_a_regression_takes_features_and_gives_predictions_in_both_runtimes(exported_regression: Exported) -> None:
    signature = exported_regression.manifest.signatures["serving_default"]
    celsius = np.float32([[100], [-40], [37]])

    assert [(spec.name, spec.dtype, spec.shape) for spec in (*signature.inputs, *signature.outputs)] == [
        ("features", "float32", (None, 1)),
        ("predictions", "float32", (None, 1)),
    ]
    for answer in (onnx_answer, tensorflow_answer):
        np.testing.assert_allclose(answer(exported_regression, celsius), [[212], [-40], [98.6]], atol=2)


def test_a_regressions_manifest_has_no_labels_no_image_and_its_own_figures(
    exported_regression: Exported, celsius_run: Run
) -> None:
    manifest = exported_regression.manifest

    assert (manifest.task, manifest.labels, manifest.image) == ("regression", (), None)
    assert manifest.metrics == {"mean_absolute_error": pytest.approx(celsius_run.metrics.value, rel=1e-3)}
    for parity in manifest.parity:
        assert parity.top1_agreement is None
        assert parity.accuracy is None
        assert parity.mean_absolute_error == pytest.approx(celsius_run.metrics.value, rel=1e-3)
        assert parity.max_relative_difference is not None
        assert parity.max_relative_difference < 1e-5
    assert "assets/labels.txt" not in manifest.files
    assert read_manifest(exported_regression.path) == manifest
    comparisons = exported_regression.evidence.comparisons
    assert [one.inputs for one in comparisons if one.parity.runtime == "onnx"] == [
        "test split",
        "all 0",
        "all -1,000,000",
        "all 1,000,000",
        "random",
    ]


def test_a_regression_that_errs_more_than_its_run_said_is_refused(celsius_run: Run, tmp_path: Path) -> None:
    run = dataclasses.replace(celsius_run, metrics=celsius_run.metrics.model_copy(update={"value": 40.0}))

    with pytest.raises(ParityError, match=r"mean absolute error on \d+ examples is .*, but the run recorded 40\.0000"):
        export_run(run, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_two_colour_classes_answer_in_both_runtimes_as_the_trained_model_does(
    exported_shapes: Exported, shapes_run: Run
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 24, 24, 3), np.uint8)
    scores = onnx_answer(exported_shapes, pixels)

    assert (scores.shape, scores.dtype) == ((5, 2), np.float32)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(tensorflow_answer(exported_shapes, pixels), scores, atol=1e-5)
    np.testing.assert_allclose(shapes_run.load_model().predict(pixels, verbose=0), scores, atol=1e-5)


def test_without_a_test_split_the_bundle_is_proven_on_the_validation_split(
    exported_shapes: Exported, shapes_run: Run
) -> None:
    evidence = exported_shapes.evidence

    assert evidence.quality is not None
    assert (evidence.quality.evaluated_on, evidence.quality.examples) == ("validation", 24)
    assert evidence.comparisons[0].inputs == "validation split"
    assert evidence.metrics["accuracy"] == pytest.approx(shapes_run.metrics.value, abs=1e-6)


def test_a_model_of_ones_own_images_is_called_as_their_folder_is(exported_shapes: Exported) -> None:
    assert exported_shapes.path.parts[-2:] == ("my-shapes", "1")
    assert exported_shapes.manifest.name == "my-shapes"


def test_the_onnx_file_of_a_regression_says_that_there_is_no_image(exported_regression: Exported) -> None:
    import onnx

    model = onnx.load(exported_regression.path / "model.onnx")
    facts = {entry.key: json.loads(entry.value) for entry in model.metadata_props}

    assert (facts["atelier.task"], facts["atelier.image"], facts["atelier.labels"]) == ("regression", None, [])


@pytest.mark.parametrize(
    ("dataset", "data_dir", "name"),
    [
        ("fashion-mnist", None, "fashion-mnist"),
        ("fashion-mnist", "somewhere/else", "fashion-mnist"),
        ("folder", "my/photos", "photos"),
        ("folder", "my/photos.tar.gz", "photos"),
        ("folder", "my/photos/../birds/", "birds"),
    ],
)
def test_a_model_has_a_name_of_its_own(dataset: str, data_dir: str | None, name: str) -> None:
    assert model_name(dataset, None if data_dir is None else Path(data_dir)) == name


def test_a_folder_whose_name_no_model_can_have_asks_for_one() -> None:
    with pytest.raises(WrongUseError, match=r"would be called 'my photos' after .* give it one with --name"):
        model_name("folder", Path("/data/my photos"))


def test_large_images_go_in_small_batches_and_no_image_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "MAX_BATCH_BYTES", 1000)
    images = np.arange(7 * 300, dtype=np.uint8).reshape(7, 10, 10, 3)

    assert [len(batch) for batch in batches(images)] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(batches(images)), images)
    assert [len(batch) for batch in batches(np.zeros((2, 2000), np.uint8))] == [1, 1]
    signature = Signature(inputs=(TensorSpec("pixels", "uint8", (None, 10, 10, 3)),), outputs=())
    assert [len(batch["pixels"]) for batch in probes(signature)["random"]] == [1, 2]


def test_images_on_disk_are_read_batch_by_batch(exported_shapes: Exported, tmp_path: Path) -> None:
    images = np.memmap(tmp_path / "images", np.uint8, "w+", shape=(300, *ImageSpec(24, 24, "rgb").shape))
    images[:] = np.random.default_rng(1).integers(0, 256, images.shape, np.uint8)
    first, *_ = found = batches(images)

    assert np.shares_memory(first, images)
    assert [len(batch) for batch in found] == [256, 44]
    signature = exported_shapes.manifest.signatures["serving_default"]
    by_runtime = [
        runtimes.answers(kind(exported_shapes.path, signature), [{"pixels": batch} for batch in found])
        for kind in runtimes.RUNTIMES
        if runtimes.is_present(kind, exported_shapes.path)
    ]
    for by_tensorflow, by_onnx in zip(*by_runtime, strict=True):
        np.testing.assert_allclose(by_onnx["scores"], by_tensorflow["scores"], atol=1e-5)
