"""Predict's JSON bodies, to and from arrays of a signature."""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
import pytest

from serving.errors import InvalidInputError
from serving.signatures import Signature, TensorSpec
from serving.wire.json_tensors import decode_inputs, encode_outputs, parse_predict_body


def one_input(dtype: str, *shape: int | None) -> Signature:
    """A signature of one input, `x`, of that dtype and shape of a row."""
    return Signature((TensorSpec("x", dtype, (None, *shape)),), ())


def decode(body: bytes | str | Any, signature: Signature) -> dict[str, np.ndarray]:
    """The inputs that a body holds, given as JSON or as what JSON is made of."""
    if not isinstance(body, bytes | str):
        body = json.dumps(body)
    content = body.encode() if isinstance(body, str) else body
    return decode_inputs(parse_predict_body(content), signature)


def refusal(body: bytes | str | Any, signature: Signature) -> str:
    """Why a body is refused."""
    with pytest.raises(InvalidInputError) as caught:
        decode(body, signature)
    return str(caught.value)


def encode(form: Literal["rows", "columns"], **outputs: np.ndarray) -> str:
    """The body of an answer."""
    return encode_outputs(outputs, form).decode()
