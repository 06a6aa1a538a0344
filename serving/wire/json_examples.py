"""TensorFlow Serving's REST bodies of `:classify` and `:regress`: examples in, results out.

Booleans and integers become an int64_list, decimals a float_list, strings and `{"b64": …}` a bytes_list.
Source: https://www.tensorflow.org/tfx/serving/api_rest and tensorflow_serving/util/json_tensor.cc.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from serving.errors import InvalidInputError
from serving.wire.atelier_tfs_pb2 import Example, Input
from serving.wire.example_results import labels_and_scores, single_values, text_of
from serving.wire.examples import encode_feature
from serving.wire.json_bodies import decode_string, dump, kind_of, parse_object, shorten, signature_name_of

_INT64 = np.iinfo(np.int64)
_KIND_OF_TYPE: Mapping[type, str] = MappingProxyType(
    {bool: "int64", int: "int64", float: "float", str: "bytes", dict: "bytes"}
)


@dataclass(frozen=True, slots=True)
class ExamplesBody:
    """A parsed `:classify` or `:regress` body; `input` is a serialized message of that name."""

    signature_name: str
    input: bytes


def parse_examples_body(body: bytes) -> ExamplesBody:
    """The examples, each with the features of `context`, where there is one.

    Raises:
        InvalidInputError: not JSON, no examples, or a feature that no tf.Example can hold.
    """
    document = parse_object(body)
    signature_name = signature_name_of(document)
    message = Input()
    # Looked at first, as in FillClassifyRegressRequestFromJson: of two faults, the client is told the same one.
    if "context" in document:
        message.example_list_with_context.context = _serialize(document["context"], "context")
    if "examples" not in document:
        received = ", ".join(sorted(document)) or "an empty object"
        raise InvalidInputError(f"JSON body: expected 'examples', received {shorten(received)}")
    examples = document["examples"]
    if not isinstance(examples, list) or not examples:
        received = "an empty list" if isinstance(examples, list) else kind_of(examples)
        raise InvalidInputError(f"'examples': expected a list of at least one example, received {received}")
    listed = message.example_list_with_context if "context" in document else message.example_list
    listed.examples.extend(_serialize(example, f"example {row}") for row, example in enumerate(examples))
    return ExamplesBody(signature_name, message.SerializeToString())


def encode_classification(outputs: Mapping[str, np.ndarray]) -> bytes:
    """`{"results": [[["label", score], …], …]}`.

    Raises:
        InvalidInputError: see `labels_and_scores`.
    """
    labels, scores = labels_and_scores(outputs)
    texts = _texts(labels)
    return dump({"results": [list(zip(*row, strict=True)) for row in zip(texts, scores, strict=True)]}, [scores])


def encode_regression(outputs: Mapping[str, np.ndarray]) -> bytes:
    """`{"results": [value, …]}`.

    Raises:
        InvalidInputError: see `single_values`.
    """
    numbers = single_values(outputs)
    return dump({"results": numbers}, [numbers])


def _texts(labels: np.ndarray) -> list[list[str]]:
    """The labels' texts; where all rows share their labels, they share the texts."""
    rows = labels if labels.strides[0] else labels[:1]
    return [[text_of(label) for label in row] for row in rows.tolist()] * (1 if labels.strides[0] else len(labels))


def _serialize(features: Any, where: str) -> bytes:
    if not isinstance(features, dict):
        raise InvalidInputError(f"{where}: Example must be JSON object but got JSON {kind_of(features)}")
    example = Example()
    for name, content in features.items():
        try:
            feature = example.features.feature[name]
            encode_feature(feature, _array(content if isinstance(content, list) else [content]))
        except InvalidInputError as error:
            raise InvalidInputError(f'{where}, feature "{name}": {error}') from error
        except UnicodeEncodeError as error:
            raise InvalidInputError(f"{where}: expected text as names of features, received half of a pair") from error
    return example.SerializeToString()


def _array(values: list[Any]) -> np.ndarray:
    types = set(map(type, values))
    kinds = {_KIND_OF_TYPE.get(kind) for kind in types}
    if len(kinds) > 1 or None in kinds:
        received = " and ".join(
            sorted(kind_of(next(value for value in values if type(value) is kind)) for kind in types)
        )
        raise InvalidInputError(f"expected integers, decimals or strings, one kind of them, received {received}")
    kind = kinds.pop() if kinds else "int64"
    if kind == "bytes":
        strings = np.empty(len(values), dtype=object)
        strings[:] = [decode_string(value) for value in values]
        return strings
    if kind == "float":
        with np.errstate(over="ignore"):
            floats = np.array(values, np.float32)
        if outside := np.flatnonzero(np.isinf(floats) & np.isfinite(np.array(values))).tolist():
            raise InvalidInputError(f"expected float32 values, received {values[outside[0]]}")
        return floats
    try:
        return np.array(values, np.int64)
    except OverflowError as error:
        outside_value = next(value for value in values if not _INT64.min <= value <= _INT64.max)
        raise InvalidInputError(f"expected int64 values, received {shorten(str(outside_value))}") from error
