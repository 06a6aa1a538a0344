"""The Open Inference Protocol's `ModelInfer`: the tensors of a request, decoded, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from serving.errors import InvalidInputError
from serving.signatures import Signature
from serving.wire.atelier_oip_pb2 import ModelInferRequest, ModelInferResponse
from serving.wire.oip_answers import Answer
from serving.wire.oip_parameters import refuse_unsupported
from serving.wire.oip_tensors import (
    RAW_LISTS,
    TYPED_FIELD,
    check_names,
    check_tensor,
    decode_contents,
    decode_raw,
    encode_contents,
    encode_raw,
)
from serving.wire.protobuf_fields import bytes_field_head

_RAW_CONTENTS = ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER
_field_head = lru_cache(maxsize=1024)(bytes_field_head)
"""Answers have few sizes."""


def decode_message(message: bytes, signature: Signature) -> dict[str, np.ndarray]:
    """The inputs of a serialized request.

    Raises:
        DecodeError: it is none.
        InvalidInputError: see `decode_inputs`.
    """
    return decode_inputs(ModelInferRequest.FromString(message), signature)


def decode_inputs(request: ModelInferRequest, signature: Signature) -> dict[str, np.ndarray]:
    """The request's tensors, raw or typed, as arrays of the signature's dtypes and shapes.

    Raises:
        InvalidInputError: names, datatypes, shapes or values do not fit, or a parameter is not supported.
    """
    for tensor in request.inputs:
        refuse_unsupported(tensor.parameters, f'input "{tensor.name}"')
    names = [tensor.name for tensor in request.inputs]
    check_names(names, signature)
    raw = request.raw_input_contents
    if raw and len(raw) != len(names):
        raise InvalidInputError(
            f"raw_input_contents: expected one for each of {len(names)} inputs, received {len(raw)}"
        )
    arrays = {}
    for spec in signature.inputs:
        position = names.index(spec.name)
        tensor = request.inputs[position]
        shape = tuple(tensor.shape)
        check_tensor(spec, tensor.datatype, shape)
        if not raw:
            arrays[spec.name] = decode_contents(tensor.contents, spec, shape)
        elif tensor.HasField("contents"):
            raise InvalidInputError(f'input "{spec.name}": expected raw_input_contents or contents, received both')
        else:
            arrays[spec.name] = decode_raw(raw[position], spec, shape)
    return arrays


def written_one_by_one(arrays: Mapping[str, np.ndarray], answer: Answer, *, raw: bool) -> list[np.ndarray]:
    """The outputs that `encode_answer` writes value by value, the others being copied."""
    return [
        array
        for name, array in arrays.items()
        if answer.is_written_one_by_one(name, array)
        or not (raw or TYPED_FIELD.get(array.dtype.name, RAW_LISTS[0]) in RAW_LISTS)
    ]


def encode_answer(arrays: Mapping[str, np.ndarray], answer: Answer, *, raw: bool) -> bytes:
    """A serialized ModelInferResponse; raw where an output is FP16 or BF16, too, which have no typed list.

    Raw contents are put behind what protobuf has written, which would copy them twice more.

    Raises:
        InvalidInputError: see `as_classes`.
    """
    response = ModelInferResponse(
        model_name=answer.model_name, model_version=str(answer.version), id=answer.request_id or ""
    )
    outputs = answer.outputs(arrays)
    raw = raw or any(spec.dtype not in TYPED_FIELD for spec, _ in outputs)
    contents: list[bytes] = []
    for spec, array in outputs:
        tensor = response.outputs.add(name=spec.name, datatype=spec.element.oip, shape=array.shape)
        if raw:
            content = encode_raw(array)
            contents += (_field_head(_RAW_CONTENTS, len(content)), content)
        else:
            encode_contents(tensor.contents, array, spec.element)
    return b"".join((response.SerializeToString(), *contents))
