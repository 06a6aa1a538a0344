"""The tensors of the Open Inference Protocol's `ModelInfer`, decoded."""

from __future__ import annotations

import numpy as np

from serving.errors import InvalidInputError
from serving.signatures import Signature
from serving.wire.atelier_oip_pb2 import ModelInferRequest
from serving.wire.oip_parameters import refuse_unsupported
from serving.wire.oip_tensors import check_names, check_tensor, decode_contents, decode_raw


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
