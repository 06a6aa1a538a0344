"""`assets.extra/tf_serving_warmup_requests`: what a version is asked before clients may ask it.

Sources: tensorflow_serving/servables/tensorflow/saved_model_warmup.cc (the file, at most 1,000 records),
tensorflow/core/lib/io/record_writer.h (a record: length, its checksum, content, its checksum).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping

import numpy as np
from google.protobuf.message import DecodeError

from serving.bundle_files import WARM_UP
from serving.errors import BundleError, InvalidInputError
from serving.signatures import DEFAULT_SIGNATURE, Signature
from serving.wire.atelier_tfs_pb2 import Input, PredictionLog
from serving.wire.examples import examples_of
from serving.wire.predict_messages import decode_inputs

MAX_RECORDS = 1000
_LENGTH = struct.Struct("<QI")
_CHECKSUM_BYTES = 4
_MAX_TENSOR_BYTES = 2**31

Request = tuple[str, dict[str, np.ndarray]]
"""A signature's name and its inputs."""


def warm_up_requests(content: bytes, signatures: Mapping[str, Signature]) -> Iterator[Request]:
    """The file's requests to these signatures, in order; those to others are passed over.

    Raises:
        BundleError: the file is damaged, holds too many records, or one that its signature does not take.
    """
    for number, record in enumerate(_records(content), start=1):
        if number > MAX_RECORDS:
            raise BundleError(f"{WARM_UP}: expected at most {MAX_RECORDS:,} records, found more")
        try:
            yield from _requests(PredictionLog.FromString(record), signatures)
        except DecodeError as error:
            raise BundleError(f"{WARM_UP}: record {number} is no PredictionLog") from error
        except InvalidInputError as error:
            raise BundleError(f"{WARM_UP}: record {number}: {error}") from error


def _records(content: bytes) -> Iterator[bytes]:
    file = io.BytesIO(content)
    while head := file.read(_LENGTH.size):
        length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else len(content)
        record = file.read(length)
        if len(record) < length or len(file.read(_CHECKSUM_BYTES)) < _CHECKSUM_BYTES:
            raise BundleError(f"{WARM_UP} is cut off")
        yield record


def _requests(log: PredictionLog, signatures: Mapping[str, Signature]) -> Iterator[Request]:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in signatures:
            yield name, decode_inputs(request, signatures[name], _MAX_TENSOR_BYTES)
    elif kind in {"classify_log", "regress_log"}:
        examples = getattr(log, kind).request
        yield from _of_examples(examples.model_spec.signature_name, examples.input, signatures)
    elif kind == "multi_inference_log":
        several = log.multi_inference_log.request
        for task in several.tasks:
            yield from _of_examples(task.model_spec.signature_name, several.input, signatures)


def _of_examples(name: str, given: Input, signatures: Mapping[str, Signature]) -> Iterator[Request]:
    signature = signatures.get(name or DEFAULT_SIGNATURE)
    if signature is not None and [(spec.dtype, spec.shape) for spec in signature.inputs] == [("string", (None,))]:
        serialized = examples_of(given)
        strings = np.empty(len(serialized), dtype=object)
        strings[:] = serialized
        yield name or DEFAULT_SIGNATURE, {signature.inputs[0].name: strings}
