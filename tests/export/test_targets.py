"""8 bits and TensorFlow Lite: written, loaded by those who will run them, proven, and the same whenever written."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from export.errors import ExportError, WrongUseError
from export.exporter import Exported, ParityError
from export.limits import Limits
from export.runtimes import RUNTIMES
from export.sources.base import Original
from export.sources.run import RunSource
from export.targets import Target
from export.targets.int8 import Int8, calibration_images
from export.targets.tflite import TFLite
from tests.export.conftest import DIGITS_IMAGE, seed_keras
from tests.support.exports import export_run
from tests.support.runs import train_by_hand
from training.datasets import load_dataset
from training.datasets.base import LoadOptions, Split
from training.recipes.best import ResidualNet
from training.run import Run

BOTH: Sequence[Target] = (Int8(), TFLite())


@pytest.fixture(scope="module")
def everything(digits_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The digits in every format."""
    return export_run(digits_run, tmp_path_factory.mktemp("everything"), targets=BOTH)


def by_tensorflow(bundle: Path) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(bundle))
    return lambda pixels: loaded.signatures["serving_default"](pixels=tf.constant(pixels))["scores"].numpy()


def by_onnx_runtime(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    return lambda pixels: session.run(["scores"], {"pixels": pixels})[0]


def by_tensorflow_lite(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    with pytest.warns(UserWarning, match=r"tf\.lite\.Interpreter is deprecated"):
        interpreter = tf.lite.Interpreter(str(path))
    runner = interpreter.get_signature_runner("serving_default")
    return lambda pixels: runner(pixels=pixels)["scores"]


LOADERS: dict[str, Callable[[Path], Callable[[np.ndarray], np.ndarray]]] = {
    "tensorflow": by_tensorflow,
    "onnx": lambda bundle: by_onnx_runtime(bundle / "model.onnx"),
    "onnx-int8": lambda bundle: by_onnx_runtime(bundle / "model.int8.onnx"),
    "tflite": lambda bundle: by_tensorflow_lite(bundle / "model.tflite"),
}


@pytest.mark.parametrize("runtime", LOADERS)
def test_every_runtime_loads_the_bundle_and_answers_batches_of_any_size_as_the_trained_model(
    everything: Exported, digits_run: Run, digits_images: np.ndarray, runtime: str
) -> None:
    answer = LOADERS[runtime](everything.path)
    trained = digits_run.load_model().predict(digits_images, verbose=0)

    for rows in (1, 2, 7, 32, 257):
        scores = answer(digits_images[:rows])
        assert (scores.shape, scores.dtype) == ((rows, 10), np.float32)
        np.testing.assert_allclose(scores, trained[:rows], atol=0.2 if runtime == "onnx-int8" else 1e-5)


def test_the_loaders_are_those_of_the_gate() -> None:
    assert list(LOADERS) == [kind.name for kind in RUNTIMES]


def test_every_runtime_has_its_figures_in_the_manifest_and_in_the_report(everything: Exported) -> None:
    found = {parity.runtime: parity for parity in everything.manifest.parity}
    report = (everything.path / "parity.md").read_text()

    assert list(found) == list(LOADERS)
    assert all(f"| {runtime} | test split | 360 |" in report for runtime in found)
    assert all(parity.latency_ms_batch_32 for parity in found.values())
    assert found["onnx-int8"].size_bytes == everything.manifest.files["model.int8.onnx"].size_bytes
    assert found["tflite"].size_bytes == everything.manifest.files["model.tflite"].size_bytes
    assert found["tflite"].max_abs_difference <= 1e-5
    assert found["onnx-int8"].examples == 360  # of the test split; no probes
    assert found["onnx-int8"].top1_agreement is not None
    assert found["onnx-int8"].top1_agreement >= 0.99


def test_the_8_bit_model_keeps_names_shapes_and_facts(everything: Exported) -> None:
    import onnx

    whole, quantized = (onnx.load(everything.path / name) for name in ("model.onnx", "model.int8.onnx"))
    facts = {entry.key: json.loads(entry.value) for entry in quantized.metadata_props}

    assert list(quantized.graph.input) == list(whole.graph.input)
    assert list(quantized.graph.output) == list(whole.graph.output)
    assert [(opset.domain, opset.version) for opset in quantized.opset_import] == [("", 17)]
    assert facts["atelier.labels"] == list("0123456789")
    assert facts["atelier.quantization"] == "int8"
    assert facts["atelier.calibration"] == {"method": "min-max", "images": 512, "seed": 21}


def test_weights_have_7_bits_and_a_scale_for_each_channel_and_the_ends_of_the_net_are_float(
    everything: Exported,
) -> None:
    import onnx

    graph = onnx.load(everything.path / "model.int8.onnx").graph
    weights = {weight.name: onnx.numpy_helper.to_array(weight) for weight in graph.initializer}
    restored = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in weights]
    kernels = [node for node in restored if weights[node.input[0]].dtype == np.int8]
    first, *_, last = (node for node in graph.node if node.op_type in {"Conv", "Gemm", "MatMul"})

    assert len(kernels) == 3  # of a separable convolution, which is two, and of the first dense layer
    for node in kernels:
        assert weights[node.input[1]].size in weights[node.input[0]].shape
        assert weights[node.input[1]].size > 1
        assert np.abs(weights[node.input[0]]).max() <= 64
    for node in (first, last):
        assert weights[node.input[1]].dtype == np.float32


def test_ranges_come_from_training_images_and_the_test_split_is_not_looked_at(
    everything: Exported, digits_run: Run, tmp_path: Path
) -> None:
    def quantized(name: str, train: Split, test: Split) -> bytes:
        assert original.examples is not None
        dataset = dataclasses.replace(original.examples.dataset, train=train, test=test)
        bundle = tmp_path / name
        bundle.mkdir()
        shutil.copy(everything.path / "model.onnx", bundle)
        Int8().write(
            bundle, dataclasses.replace(original, examples=dataclasses.replace(original.examples, dataset=dataset))
        )
        return (bundle / "model.int8.onnx").read_bytes()

    original = RunSource(digits_run).load(lambda _: None)
    assert original.examples is not None
    train, test = original.examples.dataset.train, original.examples.dataset.test
    assert test is not None
    published = (everything.path / "model.int8.onnx").read_bytes()

    assert quantized("other-test", train, Split(np.zeros_like(test.inputs), test.targets)) == published
    assert quantized("other-train", Split(train.inputs // 2, train.targets), test) != published


def test_calibration_images_are_always_the_same_and_never_more_than_there_are() -> None:
    split = Split(np.arange(2000, dtype=np.uint8).reshape(-1, 1, 1), np.zeros(2000, np.int64))

    assert len(calibration_images(split)) == 512
    np.testing.assert_array_equal(calibration_images(split), calibration_images(split))
    np.testing.assert_array_equal(calibration_images(split.take(np.arange(5))), split.inputs[:5])


def test_colours_softmax_and_sigmoid_are_quantized_and_converted(shapes_run: Run, tmp_path: Path) -> None:
    exported = export_run(shapes_run, tmp_path, targets=BOTH)

    assert [parity.runtime for parity in exported.manifest.parity] == list(LOADERS)


def test_a_residual_net_that_looks_at_mirror_images_is_quantized_and_converted(tmp_path: Path) -> None:
    seed_keras()
    dataset = load_dataset("digits", LoadOptions(image=DIGITS_IMAGE))
    net = ResidualNet(stem=8, filters=(16, 16), dropout=0.1)
    model = net.serve(net.build(DIGITS_IMAGE, len(dataset.labels), "softmax"))
    run = train_by_hand(tmp_path / "run", model, dataset, "softmax", image=DIGITS_IMAGE, epochs=6)

    exported = export_run(run, tmp_path / "models", targets=BOTH)

    assert [parity.runtime for parity in exported.manifest.parity] == list(LOADERS)


def test_a_regression_becomes_tensorflow_lite_but_not_8_bits(celsius_run: Run, tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match="--int8 is for classifiers: a regression's prediction has no scale"):
        export_run(celsius_run, tmp_path / "refused", targets=BOTH)
    exported = export_run(celsius_run, tmp_path / "models", targets=[TFLite()])

    assert not (tmp_path / "refused").exists()
    assert [parity.runtime for parity in exported.manifest.parity] == ["tensorflow", "onnx", "tflite"]


class CoarseInt8(Int8):
    """Forgets the small weights."""

    def write(self, bundle: Path, original: Original) -> None:
        import onnx

        super().write(bundle, original)
        path = bundle / "model.int8.onnx"
        model = onnx.load(path)
        for weight in model.graph.initializer:
            values = onnx.numpy_helper.to_array(weight)
            if values.dtype == np.int8 and values.ndim > 1:
                coarse = np.where(np.abs(values) < 40, 0, values).astype(np.int8)
                weight.CopyFrom(onnx.numpy_helper.from_array(coarse, weight.name))
        onnx.save(model, path)


def test_8_bits_that_lose_too_much_are_refused_unless_that_is_allowed_by_name(digits_run: Run, tmp_path: Path) -> None:
    with pytest.raises(
        ParityError, match="onnx-int8 does not answer like keras: they agree on the top class"
    ) as caught:
        export_run(digits_run, tmp_path / "refused", targets=[CoarseInt8()])
    limits = Limits(int8_agreement=0.0, int8_accuracy_loss=1.0)
    exported = export_run(digits_run, tmp_path / "models", targets=[CoarseInt8()], limits=limits)

    assert {violation.runtime for violation in caught.value.evidence.violations(Limits())} == {"onnx-int8"}
    assert not (tmp_path / "refused").exists()
    assert exported.manifest.allowed == {"int8-agreement": 0.0, "int8-accuracy-loss": 1.0}


class BrokenTFLite(TFLite):
    """Writes zeros."""

    def write(self, bundle: Path, original: Original) -> None:
        super().write(bundle, original)
        path = bundle / "model.tflite"
        path.write_bytes(bytes(len(path.read_bytes())))


def test_a_file_that_its_runtime_cannot_load_is_refused(digits_run: Run, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"TensorFlow Lite cannot load model\.tflite"):
        export_run(digits_run, tmp_path / "models", targets=[BrokenTFLite()])

    assert list(tmp_path.iterdir()) == []
