"""TensorFlow Serving's REST bodies to numpy and back: rows (`instances`) and columns (`inputs`).

Source: https://www.tensorflow.org/tfx/serving/api_rest and tensorflow_serving/util/json_tensor.cc.
"""

from __future__ import annotations

import base64
import itertools
import math
from array import array as machine_array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from serving.errors import InvalidInputError, ServingError, UnsupportedError
from serving.signatures import Signature, TensorSpec, format_shape
from serving.wire.json_bodies import (
    HALF_A_PAIR,
    decode_string,
    dump,
    is_b64,
    kind_of,
    parse_object,
    printable_floats,
    shorten,
    signature_name_of,
)
from serving.wire.json_numbers import Numbers, parse_around_numbers

Form = Literal["rows", "columns"]

_FORMS: Mapping[str, Form] = MappingProxyType({"instances": "rows", "inputs": "columns"})
"""How a body's values are arranged, by the key that they are under."""
MIN_QUICK_BYTES = 1024
"""Shorter bodies are read sooner with care than by the quick way."""
_MAX_RANK = 32
"""numpy's own bound is 64; TensorFlow's is 254."""
_ACCEPTED_TYPES: Mapping[str, set[type]] = MappingProxyType({"b": {bool}, "f": {int, float}, "i": {int}, "u": {int}})
"""Types that JSON values may arrive as, by the kind of dtype that the model expects: integers reject 1.0."""
_TYPE_CODES: Mapping[str, str] = MappingProxyType(
    {
        "int8": "b",
        "uint8": "B",
        "int16": "h",
        "uint16": "H",
        "int32": "i",
        "uint32": "I",
        "int64": "q",
        "uint64": "Q",
        "float32": "f",
        "float64": "d",
    }
)
"""The standard library's names of the dtypes that its arrays can hold."""
_NAMES_OF_TYPES = MappingProxyType(
    {bool: "booleans", int: "integers", float: "decimals", str: "strings", dict: "objects", type(None): "null"}
)


class Misshapen(NamedTuple):
    """A body without one list of rows or one value of columns: `fault` says why, once its model is found.

    TensorFlow Serving looks for them after it has looked the model up (FillPredictRequestFromJson in json_tensor.cc).
    """

    fault: str


@dataclass(frozen=True, slots=True)
class PredictBody:
    """A parsed `:predict` body: `data` is the list of rows, the value or object of columns, the `Numbers` of either,
    or `Misshapen`.

    `has_words` says that true or false may be among its values; `content` is the body that `Numbers` are of.
    """

    signature_name: str
    form: Form
    data: Any
    has_words: bool = True
    content: bytes = b""


def parse_predict_body(body: bytes) -> PredictBody:
    """Takes a `:predict` body apart, as far as that needs no signature.

    Raises:
        InvalidInputError: not JSON, not an object, or its `signature_name` is no string.
    """
    found = parse_around_numbers(body) if len(body) >= MIN_QUICK_BYTES else None
    if found is not None:
        document, key, numbers = found
        if document.keys() & _FORMS.keys() == {key}:
            return PredictBody(signature_name_of(document), _FORMS[key], numbers, content=body)
    return _parse_with_care(body)


def _parse_with_care(body: bytes) -> PredictBody:
    document = parse_object(body)
    signature_name = signature_name_of(document)
    forms = [key for key in _FORMS if key in document]
    if len(forms) != 1:
        received = "both" if forms else (", ".join(sorted(document)) or "an empty object")
        fault = f"JSON body: expected exactly one of 'instances' and 'inputs', received {shorten(received)}"
        return PredictBody(signature_name, "rows", Misshapen(fault))
    # Letters of true, false and null; looking for whole words in numbers takes as long as parsing them.
    has_words = b"l" in body or body.count(b"u") > (forms[0] == "inputs")
    if forms[0] == "inputs":
        return PredictBody(signature_name, "columns", document["inputs"], has_words)
    rows = document["instances"]
    if not isinstance(rows, list) or not rows:
        received = "an empty list" if isinstance(rows, list) else kind_of(rows)
        fault = f"'instances': expected a list of at least one row, received {received}"
        return PredictBody(signature_name, "rows", Misshapen(fault))
    return PredictBody(signature_name, "rows", rows, has_words)


def without_data(body: PredictBody) -> PredictBody:
    """What has to be known of it before its signature is."""
    return PredictBody(body.signature_name, body.form, None)


def decode_inputs(body: PredictBody, signature: Signature) -> dict[str, np.ndarray]:
    """The body's values as one array an input, of the signature's dtypes and shapes.

    Raises:
        InvalidInputError: neither rows nor columns, or names, shapes or values that do not fit the signature.
        UnsupportedError: columns for a signature that takes what JSON has no form for.
    """
    no_json = signature.predict_only_tensor
    if no_json is not None and not isinstance(body.data, Misshapen):
        raise _no_json(body.form, no_json, is_input=no_json in signature.inputs)
    if isinstance(body.data, Numbers):
        if len(signature.inputs) == 1:
            (spec,) = signature.inputs
            array = body.data.decode(spec)
            if array is not None and spec.accepts(array.shape):
                return {spec.name: array}
        body = _parse_with_care(body.content)
    if isinstance(body.data, Misshapen):
        raise InvalidInputError(body.data.fault)
    columns = _columns_of_rows(body.data, signature) if body.form == "rows" else _columns(body.data, signature)
    return {spec.name: decode_values(columns[spec.name], spec, body.has_words) for spec in signature.inputs}


def encode_outputs(outputs: Mapping[str, np.ndarray], form: Form) -> bytes:
    """`{"predictions": rows}` or `{"outputs": columns}`; a single output is bare.

    Raises:
        InvalidInputError: rows are asked for, but the outputs do not have one first dimension.
    """
    values = {name: _jsonable(name, array) for name, array in outputs.items()}
    if form == "columns":
        document: dict[str, Any] = {"outputs": next(iter(values.values())) if len(values) == 1 else values}
    else:
        counts = {array.shape[:1] for array in outputs.values()}
        if len(counts) != 1 or () in counts:
            raise InvalidInputError(
                "the outputs have no common batch dimension: ask with 'inputs' instead of 'instances'"
            )
        rows = zip(*values.values(), strict=True)
        document = {
            "predictions": [dict(zip(values, row, strict=True)) for row in rows]
            if len(values) > 1
            else next(iter(values.values()))
        }
    return dump(document, outputs.values())


def _columns_of_rows(rows: list[Any], signature: Signature) -> dict[str, Any]:
    names = [spec.name for spec in signature.inputs]
    if not isinstance(rows[0], dict) or is_b64(rows[0]):
        if len(names) != 1:
            raise InvalidInputError(
                f"'instances': expected objects with the inputs {_list(names)}, received {kind_of(rows[0])}"
            )
        if dict in set(map(type, rows)):
            _check_bare(rows)
        return {names[0]: rows}
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InvalidInputError(
                f"'instances': expected an object in row {index} as in row 0, received {kind_of(row)}"
            )
        if row.keys() != set(names):
            raise InvalidInputError(
                f"'instances': expected the inputs {_list(names)} in row {index}, received {_list(row)}"
            )
    return {name: [row[name] for row in rows] for name in names}


def _check_bare(rows: list[Any]) -> None:
    for index, row in enumerate(rows):
        if isinstance(row, dict) and not is_b64(row):
            raise InvalidInputError(
                f"'instances': expected a bare value in row {index} as in row 0, received an object"
            )


def _columns(data: Any, signature: Signature) -> dict[str, Any]:
    names = [spec.name for spec in signature.inputs]
    if isinstance(data, dict) and not is_b64(data):
        if data.keys() != set(names):
            raise InvalidInputError(f"'inputs': expected {_list(names)}, received {_list(data)}")
        return data
    if len(names) != 1:
        raise InvalidInputError(f"'inputs': expected an object with {_list(names)}, received {kind_of(data)}")
    return {names[0]: data}


def decode_values(values: Any, spec: TensorSpec, has_words: bool = True) -> np.ndarray:
    """Nested lists as an array of `spec`'s dtype and shape; true or false may be in it if it `has_words`.

    Raises:
        InvalidInputError: another shape, ragged lists, or values of another type.
    """
    array = None if has_words else _decode_plainly(values, spec)
    if array is None:
        array = _decode_strings(values, spec) if spec.element.is_string else _decode_numbers(values, spec)
    if not spec.accepts(array.shape):
        raise _wrong_shape(spec, array.shape)
    return array


def _decode_plainly(values: Any, spec: TensorSpec) -> np.ndarray | None:
    """Lists as deep and as regular as they should be, of numbers in the dtype's range; None for whatever is not that.

    Machine arrays take no other values than numbers, and no decimals for integers, without a look of ours at each.
    """
    code = _TYPE_CODES.get(spec.dtype)
    if code is None or not spec.shape or not isinstance(values, list):
        return None
    shape, level = [len(values)], values
    try:
        for _ in spec.shape[1:]:
            (size,) = set(map(len, level))
            shape.append(size)
            level = list(itertools.chain.from_iterable(level))
        content = bytes(level) if code == "B" else machine_array(code, level)
        numbers = np.frombuffer(content, spec.element.numpy).reshape(shape)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if spec.element.kind == "f" and np.isinf(numbers).any() else numbers


def _decode_numbers(values: Any, spec: TensorSpec) -> np.ndarray:
    expected, kind = spec.element.numpy, spec.element.kind
    types = _types_of_values(values, len(_shape_of(values) or ()) if spec.any_rank else len(spec.shape))
    if list in types:
        raise _wrong_depth(values, spec)
    if refused := types - _ACCEPTED_TYPES[kind]:
        received = " and ".join(sorted(_NAMES_OF_TYPES[received] for received in refused))
        raise InvalidInputError(f'input "{spec.name}": expected {spec.dtype} values, received {received}')
    try:
        with np.errstate(over="ignore"):
            # ml_dtypes' bfloat16 takes no integer that is larger than an int64.
            array = np.array(values, np.float64 if spec.dtype == "bfloat16" else expected).astype(expected, copy=False)
    except OverflowError as error:
        raise _out_of_range(values, spec) from error
    except (TypeError, ValueError) as error:
        raise _ragged(spec) from error
    if kind == "f" and np.isinf(array).any() and np.isfinite(np.array(values, float)[np.isinf(array)]).any():
        raise _out_of_range(values, spec)
    return array


def _types_of_values(values: Any, rank: int) -> set[type]:
    """The types of what is found `rank` lists deep; with `list` among them where the depth is another one.

    Looked at before numpy does, which finds a type for everything: it takes true for 1, and strings, however long, for
    an array of as many characters each.
    """
    try:
        return set(map(type, _values_at(values, rank)))
    except TypeError:
        return {list}


def _wrong_depth(values: Any, spec: TensorSpec) -> InvalidInputError:
    shape = _shape_of(values)
    return _ragged(spec) if shape is None else _wrong_shape(spec, shape)


def _shape_of(values: Any) -> tuple[int, ...] | None:
    """The shape of nested lists, however deep; None where they are ragged. Takes no memory for each value."""
    shape: list[int] = []
    while True:
        types = set(map(type, _values_at(values, len(shape))))
        if list not in types:
            return tuple(shape)
        sizes = set(map(len, _values_at(values, len(shape)))) if types == {list} else set()
        if len(sizes) != 1:
            return None
        shape.append(sizes.pop())


def _values_at(values: Any, depth: int) -> Iterable[Any]:
    level: Iterable[Any] = (values,)
    for _ in range(depth):
        level = itertools.chain.from_iterable(level)
    return level


def _wrong_shape(spec: TensorSpec, received: tuple[int, ...]) -> InvalidInputError:
    return InvalidInputError(
        f'input "{spec.name}": expected shape {format_shape(spec.shape)}, received {format_shape(received)}'
    )


def _ragged(spec: TensorSpec) -> InvalidInputError:
    return InvalidInputError(
        f'input "{spec.name}": expected rows of one shape {format_shape(spec.shape)}, received ragged lists'
    )


def _out_of_range(values: Any, spec: TensorSpec) -> InvalidInputError:
    limits = spec.element.limits
    lowest, highest = np.array([limits.min, limits.max], spec.element.numpy).tolist()
    numbers = (value for value in np.array(values, dtype=object).ravel() if abs(value) != math.inf)
    outside = next(value for value in numbers if value < lowest or value > highest)
    return InvalidInputError(
        f'input "{spec.name}": expected {spec.dtype} values from {limits.min} to {limits.max}, '
        f"received {shorten(str(outside))}"
    )


def _decode_strings(values: Any, spec: TensorSpec) -> np.ndarray:
    flat: list[bytes] = []
    shape = _collect_strings(values, flat, spec, _MAX_RANK if spec.any_rank else len(spec.shape))
    array = np.empty(len(flat), dtype=object)
    array[:] = flat
    return array.reshape(shape)


def _collect_strings(values: Any, flat: list[bytes], spec: TensorSpec, depth: int) -> tuple[int, ...]:
    if isinstance(values, str) or is_b64(values):
        try:
            flat.append(decode_string(values))
        except InvalidInputError as error:
            raise InvalidInputError(f'input "{spec.name}": {error}') from error
        return ()
    if depth == 1 and isinstance(values, list) and set(map(type, values)) <= {str}:
        flat += _encode_all(values, spec)
        return (len(values),)
    if not isinstance(values, list) or not depth:
        raise InvalidInputError(f'input "{spec.name}": expected strings or {{"b64": …}}, received {kind_of(values)}')
    shapes = {_collect_strings(value, flat, spec, depth - 1) for value in values}
    if len(shapes) > 1:
        raise _ragged(spec)
    return (len(values), *(shapes.pop() if shapes else ()))


def _encode_all(texts: list[str], spec: TensorSpec) -> Iterable[bytes]:
    """Millions of strings, without a step of Python for each."""
    try:
        return list(map(str.encode, texts))
    except UnicodeEncodeError as error:
        raise InvalidInputError(f'input "{spec.name}": {HALF_A_PAIR}') from error


def _jsonable(name: str, array: np.ndarray) -> Any:
    if array.dtype != object:
        # orjson prints float32 and float64 in their shortest form, no smaller floats, and no array of no dimensions.
        array = printable_floats(array)
        return np.ascontiguousarray(array) if array.ndim else array[()]
    flat = np.empty(array.size, dtype=object)
    flat[:] = [_json_string(value, as_base64=name.endswith("_bytes")) for value in array.ravel()]
    return flat.reshape(array.shape).tolist()


def _json_string(value: bytes | str, *, as_base64: bool) -> Any:
    content = value.encode() if isinstance(value, str) else value
    return {"b64": base64.b64encode(content).decode()} if as_base64 else content.decode("utf-8", "replace")


def _no_json(form: Form, spec: TensorSpec, *, is_input: bool) -> ServingError:
    """With the codes of json_tensor.cc, where such columns are UNIMPLEMENTED, such rows and answers invalid."""
    text = f'"{spec.name}": JSON has no {spec.dtype} values, ask PredictionService.Predict over gRPC'
    return UnsupportedError(text) if form == "columns" and is_input else InvalidInputError(text)


def _list(names: Iterable[str]) -> str:
    return shorten(", ".join(sorted(names)) or "none")
