"""tf.Example: what Classify and Regress send a model, decoded into the rows of a tensor.

Source of the formats: tensorflow/core/example/{example,feature}.proto, tensorflow_serving/apis/input.proto.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from serving.errors import InvalidInputError
from serving.signatures import TensorSpec
from serving.wire.atelier_tfs_pb2 import Example, ExamplesRequest, Feature, FloatList, Input, UnpackedFloatList
from serving.wire.field_limits import check_fields
from serving.wire.tensors import MIXED_ENCODINGS

_FEATURES = 1
_LIST_OF_KIND: Mapping[str, str] = MappingProxyType(
    {"f": "float_list", "i": "int64_list", "u": "int64_list", "b": "int64_list", "O": "bytes_list"}
)
"""The list of a feature that holds a tensor's values, by the kind of its dtype."""


def examples_of(message: Input) -> list[bytes]:
    """The serialized examples of a request. A context stands in front of each, so that an example's features win.

    Raises:
        InvalidInputError: there is none.
    """
    if message.WhichOneof("kind") == "example_list_with_context":
        context = message.example_list_with_context.context
        examples = [context + example for example in message.example_list_with_context.examples]
    else:
        examples = list(message.example_list.examples)
    if not examples:
        raise InvalidInputError("Input is empty.")
    return examples


def array_of(message: Input) -> np.ndarray:
    """The same as an array of byte strings.

    Raises:
        InvalidInputError: there is none.
    """
    examples = examples_of(message)
    strings = np.empty(len(examples), dtype=object)
    strings[:] = examples
    return strings


def decode_request(message: bytes) -> dict[str, np.ndarray]:
    """The examples of a serialized request of Classify, Regress or MultiInference, which have them in one field.

    Raises:
        DecodeError: it is none.
        InvalidInputError: there are no examples.
    """
    return {"inputs": array_of(ExamplesRequest.FromString(message).input)}


def decode_example(serialized: bytes, spec: TensorSpec) -> np.ndarray:
    """The example's feature that is named like `spec`, as one row of its dtype and of shape `spec.shape[1:]`.

    Raises:
        InvalidInputError: no tf.Example, no such feature, or one of another kind, number or range of values.
        PayloadTooLargeError: it has thousands of features.
    """
    check_fields(serialized, {_FEATURES})
    try:
        features = Example.FromString(serialized).features.feature
    except DecodeError as error:
        raise InvalidInputError(f"expected a serialized tf.Example, received {len(serialized)} other bytes") from error
    if spec.name not in features:
        names = ", ".join(sorted(features)) or "none"
        raise InvalidInputError(f'expected a feature "{spec.name}", received {names[:80]}')
    feature = features[spec.name]
    expected, received = _LIST_OF_KIND[spec.element.kind], feature.WhichOneof("kind") or "no values"
    if received != expected:
        raise InvalidInputError(f'feature "{spec.name}": expected {expected}, received {received}')
    row_shape = [size or 0 for size in spec.shape[1:]]
    count = math.prod(row_shape)
    values = _values(feature, spec, count)
    if len(values) != count:
        raise InvalidInputError(f'feature "{spec.name}": expected {count} values, received {len(values)}')
    return values.reshape(row_shape)


def encode_feature(feature: Feature, values: np.ndarray) -> None:
    """Writes int64, float32 or byte strings (dtype `object`) into an empty feature."""
    if values.dtype == object:
        feature.bytes_list.value.extend(values.tolist())
    elif values.dtype.kind == "f":
        feature.float_list.value.append(values.tobytes())
    else:
        feature.int64_list.value.extend(values.tolist())


def _values(feature: Feature, spec: TensorSpec, count: int) -> np.ndarray:
    dtype = spec.element.numpy
    if spec.element.kind == "f":
        return _floats(feature.float_list, spec.name, count).astype(dtype, copy=False)
    if spec.element.is_string:
        strings = np.empty(len(feature.bytes_list.value), dtype=object)
        strings[:] = feature.bytes_list.value
        return strings
    values = np.array(feature.int64_list.value, np.int64)
    least, most = (0, 1) if dtype.kind == "b" else _limits(dtype)
    lowest, highest = int(values.min(initial=0)), int(values.max(initial=0))
    if lowest < least or highest > most:
        raise InvalidInputError(
            f'feature "{spec.name}": expected {spec.dtype} values from {least} to {most}, '
            f"received {lowest if lowest < least else highest}"
        )
    return values.astype(dtype)


def _limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return limits.min, limits.max


def _floats(floats: FloatList, name: str, count: int) -> np.ndarray:
    content = b"".join(floats.value)
    if len(content) == count * np.float32().itemsize:
        return np.frombuffer(content, np.float32)
    # Not packed (our message class then kept the numbers as unknown fields), or another number of values.
    try:
        values = np.array(UnpackedFloatList.FromString(floats.SerializeToString()).value, np.float32)
    except DecodeError as error:
        raise InvalidInputError(f'feature "{name}": float_list does not hold whole float32 values') from error
    if content and values.nbytes != len(content):
        raise InvalidInputError(f'feature "{name}": {MIXED_ENCODINGS} in float_list')
    return values
