"""The warm-up file, read with TensorFlow Serving's own messages."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export import warm_up
from export.description import Description
from export.errors import ExportError
from export.exporter import Exported
from export.sources.keras_file import KerasFileSource
from export.warm_up import BATCH_ROWS, warm_up_logs, write_warm_up
from serving.bundle_files import WARM_UP
from serving.images import ImageSpec
from serving.signatures import CLASSIFY_METHOD, Signature, TensorSpec
from tests.support.foreign_models import write_two_by_two
from tests.support.image_files import file_of


def records(bundle: Path) -> list[bytes]:
    import tensorflow as tf

    return [record.numpy() for record in tf.data.TFRecordDataset(str(bundle / WARM_UP))]


def check_records(exported: Exported, kinds: dict[str, str]) -> None:
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    asked: Counter[tuple[str, str, int]] = Counter()
    for record in records(exported.path):
        log = prediction_log_pb2.PredictionLog.FromString(record)
        kind = log.WhichOneof("log_type")
        message = getattr(log, kind).request
        name = message.model_spec.signature_name
        if kind == "predict_log":
            ((taken, tensor),) = message.inputs.items()
            array = tf.make_ndarray(tensor)
            (spec,) = exported.manifest.signatures[name].inputs
            assert (taken, tf.as_dtype(tensor.dtype).name) == (spec.name, spec.dtype)
            assert spec.accepts(array.shape)
            rows = len(array)
        else:
            rows = len(message.input.example_list.examples)
        asked[name, kind, rows] += 1
    assert asked == {(name, kind, rows): 1 for name, kind in kinds.items() for rows in (1, 8, 32, 64)}


CLASSIFIER = {"serving_default": "predict_log", "image_bytes": "predict_log", "classify": "classify_log"}


def test_every_signature_is_asked_in_batches_of_several_sizes(exported: Exported) -> None:
    check_records(exported, CLASSIFIER)


def test_so_are_those_of_a_colour_classifier(exported_shapes: Exported) -> None:
    check_records(exported_shapes, CLASSIFIER)


def test_so_are_those_of_a_regression(exported_regression: Exported) -> None:
    check_records(exported_regression, {"serving_default": "predict_log", "regress": "regress_log"})


def test_the_manifest_holds_the_warm_up_and_it_is_small(exported: Exported) -> None:
    assert exported.manifest.files[WARM_UP].size_bytes < 30_000


def test_examples_of_large_images_are_asked_one_at_a_time() -> None:
    image = ImageSpec(300, 300, "rgb")
    scores = TensorSpec("scores", "float32", (None, 2))
    signatures = {
        "serving_default": Signature((TensorSpec("pixels", "uint8", (None, *image.shape)),), (scores,)),
        "image_bytes": Signature((TensorSpec("image_bytes", "string", (None,)),), (scores,)),
        "classify": Signature((TensorSpec("inputs", "string", (None,)),), (scores,), CLASSIFY_METHOD),
    }

    logs = list(warm_up_logs(signatures, image))

    assert len(logs) == 2 * len(BATCH_ROWS) + 1
    assert len(logs[-1].classify_log.request.input.example_list.examples) == 1
    assert sum(log.ByteSize() for log in logs) < 400_000


def test_a_signature_that_answers_otherwise_is_refused(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Path(shutil.copytree(exported.path, tmp_path / "1"))
    shutil.rmtree(bundle / "assets.extra")
    monkeypatch.setattr(warm_up, "_png", _png_of_noise)

    with pytest.raises(ExportError, match=r"signature image_bytes does not answer as serving_default does: .* 1 rows"):
        write_warm_up(bundle, exported.manifest.signatures, exported.manifest.image)


def test_a_signature_that_fails_is_refused(exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Path(shutil.copytree(exported.path, tmp_path / "1"))
    shutil.rmtree(bundle / "assets.extra")
    monkeypatch.setattr(warm_up, "_png", lambda _: b"no image")

    with pytest.raises(
        ExportError, match=r"signature image_bytes fails on its warm-up: Unknown image file format\. [^\n]*$"
    ):
        write_warm_up(bundle, exported.manifest.signatures, exported.manifest.image)


def test_a_model_that_takes_no_made_up_rows_has_no_warm_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = KerasFileSource(write_two_by_two(tmp_path / "shop.keras"), Description(), onnx="unwanted")
    original = source.load(lambda _: None)
    monkeypatch.setattr(warm_up, "VALUE", 100)  # there are ten shelves
    bundle = tmp_path / "1"
    bundle.mkdir()

    note, _ = original.model.write(bundle, original, lambda _: None)

    assert re.match(r"there are no warm-up requests: the model refuses rows of 100: .* is not in \[0, 10\)", note)
    assert not (bundle / "assets.extra").exists()


def _png_of_noise(image: ImageSpec) -> bytes:
    return file_of(Image.fromarray(np.random.default_rng(0).integers(0, 256, image.shape, np.uint8)), "PNG")
