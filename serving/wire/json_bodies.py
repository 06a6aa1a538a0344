"""What the JSON bodies of all REST APIs share: NaN, base64 strings, `signature_name`, shortest floats.

Source: tensorflow_serving/util/json_tensor.cc.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson

from serving.errors import InvalidInputError
from serving.signatures import DEFAULT_SIGNATURE, DTYPES
from serving.wire.base64_text import decode_base64

_SHOWN_CHARACTERS = 80
HALF_A_PAIR = "expected text, received half of a surrogate pair"
_SMALL_FLOATS = (DTYPES["float16"].numpy, DTYPES["bfloat16"].numpy)
_KINDS_OF_FLOATS = ("f", DTYPES["bfloat16"].numpy.kind)


def parse_object(body: bytes) -> dict[str, Any]:
    """The body as an object; bare NaN, Infinity and -Infinity are numbers.

    Raises:
        InvalidInputError: not JSON, or no object.
    """
    document = parse(body)
    if not isinstance(document, dict):
        raise InvalidInputError(f"JSON body: expected an object, received {kind_of(document)}")
    return document


def signature_name_of(document: dict[str, Any]) -> str:
    """`signature_name`, or the default one where there is none.

    Raises:
        InvalidInputError: it is no string.
    """
    name = document.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(name, str):
        raise InvalidInputError(f"'signature_name': expected a string, received {kind_of(name)}")
    return name or DEFAULT_SIGNATURE


def decode_string(value: Any) -> bytes:
    """A JSON string's UTF-8, or what `{"b64": …}` holds.

    Raises:
        InvalidInputError: neither of them, half of a surrogate pair, or no base64.
    """
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise InvalidInputError(HALF_A_PAIR) from error
    if not is_b64(value):
        raise InvalidInputError(f'expected strings or {{"b64": …}}, received {kind_of(value)}')
    try:
        return decode_base64(value["b64"])
    except (ValueError, TypeError) as error:
        raise InvalidInputError(f'"b64" does not hold base64: {error}') from error


def dump(document: Any, numbers: Iterable[np.ndarray]) -> bytes:
    """JSON of a document with numpy arrays and scalars in it, among them all of `numbers`.

    orjson writes null for NaN and infinite, which TensorFlow Serving writes as such; a slower way does then.
    """
    content = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    if b"null" not in content or _all_finite(numbers):
        return content
    return json.dumps(document, default=_shortest_floats, separators=(",", ":")).encode()


def _all_finite(arrays: Iterable[np.ndarray]) -> bool:
    return all(array.dtype.kind not in _KINDS_OF_FLOATS or bool(np.isfinite(array).all()) for array in arrays)


def printable_floats(array: np.ndarray) -> np.ndarray:
    """The same numbers in a dtype that orjson prints: it knows none of the smaller floats."""
    return array.astype(np.float32) if array.dtype in _SMALL_FLOATS else array


def is_b64(value: Any) -> bool:
    """Whether this is an object for bytes: `b64` is its only key."""
    return isinstance(value, dict) and value.keys() == {"b64"}


def kind_of(value: Any) -> str:
    """A JSON value's type, as people call it."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
    }
    return names.get(type(value), "null")


def shorten(text: str) -> str:
    """Enough of what a client sent for it to recognize that."""
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def parse(body: bytes) -> Any:
    """The body's one value.

    Raises:
        InvalidInputError: not JSON.
    """
    body = body.removeprefix(codecs.BOM_UTF8)  # which Windows' tools write and TensorFlow Serving's parser skips
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # Bare NaN and Infinity are accepted by TensorFlow Serving, but are no JSON.
        if b"NaN" in body or b"Infinity" in body:
            with contextlib.suppress(ValueError, RecursionError):
                return json.loads(body, parse_float=_finite)
        start = body[:20].decode("utf-8", "replace")
        raise InvalidInputError(
            f"JSON Parse error: {error.msg} at line {error.lineno} column {error.colno}; "
            f"received {len(body):,} bytes that start with {start!r}"
        ) from error


def _finite(text: str) -> float:
    """A decimal of a body with NaN in it: one that is too large is refused there, too, and does not become infinite."""
    number = float(text)
    if math.isinf(number):
        raise InvalidInputError(f"JSON Parse error: number is infinity when parsed as double: {shorten(text)}")
    return number


def _shortest_floats(array: np.ndarray) -> Any:
    """Lists for the standard library's encoder, which has NaN and Infinity, but knows only float64."""
    return array.astype(str).astype(np.float64).tolist() if array.dtype == np.float32 else array.tolist()
