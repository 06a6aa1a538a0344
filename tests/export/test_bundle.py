"""The published bundle, read by those who will serve it."""

from __future__ import annotations

import numpy as np
import pytest

from export.exporter import Exported
from serving.bundle import LABELS, read_manifest, record_files, verify_files


@pytest.mark.parametrize("rows", [1, 2, 7, 32])
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
