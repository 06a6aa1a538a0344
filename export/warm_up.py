"""`assets.extra/tf_serving_warmup_requests`: what TensorFlow Serving asks a version before clients may.

A TFRecord file of PredictionLogs, of which none may fail: the server refuses a version whose warm-up fails (its
saved_model_warmup.cc). So they are read back and run on the SavedModel first.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from export.errors import ExportError, first_line
from export.signature_functions import CLASSIFY_SIGNATURE, IMAGE_SIGNATURE, REGRESS_SIGNATURE
from serving.bundle_files import WARM_UP
from serving.images import ImageSpec
from serving.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, PREDICT_METHOD, Signature, TensorSpec

if TYPE_CHECKING:
    from tensorflow.core.example.example_pb2 import Example
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

BATCH_ROWS = (1, 8, 32, 64)
MAX_RECORD_BYTES = 2**20
"""Of a record of several rows; only Examples can exceed it, which repeat every value of every row."""
VALUE = 1
"""Every pixel, or number, asked about. In a tensor one value then stands for all (tensor.proto)."""
_TOLERANCE = 1e-5


class _RefusedError(Exception):
    """The model does not take a row that was made up."""


def write_warm_up(bundle: Path, signatures: Mapping[str, Signature], image: ImageSpec | None) -> tuple[str, ...]:
    """Writes requests to all signatures, in batches of several sizes, reads them back, and runs them.

    Returns:
        Why there is no such file, where `serving_default` itself refuses what is made up for it.

    Raises:
        ExportError: another signature fails, or answers otherwise than `serving_default`.
    """
    import tensorflow as tf

    logs = list(warm_up_logs(signatures, image))
    if not logs:
        return ()
    path = bundle / WARM_UP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as file:
        for log in logs:
            file.write(log.SerializeToString(deterministic=True))
    try:
        _rehearse(bundle)
    except _RefusedError as error:
        path.unlink()
        path.parent.rmdir()
        return (f"there are no warm-up requests: {error}",)
    return ()


def warm_up_logs(signatures: Mapping[str, Signature], image: ImageSpec | None) -> Iterator[PredictionLog]:
    """A request for each signature and batch size, about the same row each time.

    The model's name is not in them: a server asks the version in whose folder they are. A signature with inputs whose
    content or size is anybody's guess is left out.
    """
    default = signatures[DEFAULT_SIGNATURE]
    for name, signature in signatures.items():
        for rows in BATCH_ROWS if _is_known(name, signature) else ():
            log = _log(name, signature, default.inputs[0], image, rows)
            if rows == 1 or log.ByteSize() <= MAX_RECORD_BYTES:
                yield log


def read_warm_up(bundle: Path) -> list[PredictionLog]:
    """The requests of a bundle, in order."""
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    return [PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(bundle / WARM_UP))]


def _is_known(name: str, signature: Signature) -> bool:
    """Whether a request can be made up: ours from strings, or numbers in rows of one shape."""
    return name in {IMAGE_SIGNATURE, CLASSIFY_SIGNATURE, REGRESS_SIGNATURE} or not any(
        spec.element.is_string or spec.shape[:1] != (None,) or None in spec.shape[1:] for spec in signature.inputs
    )


def _log(name: str, signature: Signature, row: TensorSpec, image: ImageSpec | None, rows: int) -> PredictionLog:
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    log = PredictionLog()
    if signature.method == PREDICT_METHOD:
        request = log.predict_log.request
        for taken in signature.inputs:
            value = _png(image) if taken.element.is_string and image is not None else VALUE
            shape = [rows, *taken.shape[1:]]
            request.inputs[taken.name].CopyFrom(tf.make_tensor_proto(value, dtype=taken.dtype, shape=shape))
    else:
        kind = log.classify_log if signature.method == CLASSIFY_METHOD else log.regress_log
        request = kind.request
        request.input.example_list.examples.extend([_example(row)] * rows)
    request.model_spec.signature_name = name
    return log


def _png(image: ImageSpec) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full(image.shape, VALUE, np.uint8)).save(file, "PNG")
    return file.getvalue()


def _example(row: TensorSpec) -> Example:
    from tensorflow.core.example.example_pb2 import Example

    example = Example()
    feature = example.features.feature[row.name]
    values = feature.int64_list if row.dtype == "uint8" else feature.float_list
    values.value.extend(np.full([size or 0 for size in row.shape[1:]], VALUE).ravel().tolist())
    return example


def _rehearse(bundle: Path) -> None:
    """Runs every request of the file; one batch size has one answer, whichever signature is asked."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(bundle))
    answers: dict[int, np.ndarray] = {}
    for log in read_warm_up(bundle):
        name, inputs = _asked(log)
        try:
            given = loaded.signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        except tf.errors.OpError as error:
            if name == DEFAULT_SIGNATURE:
                raise _RefusedError(f"the model refuses rows of {VALUE}: {first_line(error)}") from error
            raise ExportError(f"signature {name} fails on its warm-up: {first_line(error)}") from error
        numbers = [tensor.numpy() for tensor in given.values() if tensor.dtype.is_floating]
        if len(numbers) != 1:  # a model of several outputs, which has no other signatures
            continue
        (answer,) = numbers
        expected = answers.setdefault(len(answer), answer)
        if not np.allclose(answer, expected, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
            raise ExportError(
                f"signature {name} does not answer as {DEFAULT_SIGNATURE} does: on the same {len(answer)} rows they "
                f"differ by up to {np.abs(answer - expected).max():.1e}"
            )


def _asked(log: PredictionLog) -> tuple[str, dict[str, Any]]:
    """The signature and its inputs by name."""
    import tensorflow as tf

    kind = log.WhichOneof("log_type")
    request = getattr(log, kind).request
    if kind == "predict_log":
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
    else:  # TensorFlow Serving hands the Examples on serialized, as the only input
        inputs = {"inputs": [example.SerializeToString() for example in request.input.example_list.examples]}
    return request.model_spec.signature_name, inputs
