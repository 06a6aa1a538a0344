"""What a model can be asked with POST: for each verb the bodies, their examples, and the answers."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from serving.dataplane import image_spec
from serving.errors import UnsupportedError
from serving.frontends.http import printable
from serving.frontends.openapi import tfs_examples
from serving.frontends.openapi.tensors import B64, Schema, object_of, predict_example, predict_request, predict_response
from serving.images import FORMATS, ImageSpec
from serving.repository.servable import Servable
from serving.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, REGRESS_METHOD, Signature

_EXAMPLE_MAX_SIDE = 64
_MAX_TOP_K = 999_999_999


@dataclass
class Verb:
    """`:name` of a model; `examples` are JSON bodies by name, `others` what it takes besides JSON."""

    name: str
    summary: str
    requests: list[Schema]
    answers: list[Schema]
    examples: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


def verbs_of(servable: Servable, max_images: int) -> Iterator[Verb]:
    """What the version can be asked, what people want most first."""
    signatures = {name: one for name, one in servable.signatures.items() if one.predict_only_tensor is None}
    classify = Verb("classify", "Examples in, labels with scores out", [], [])
    spec = _image_spec(servable)
    if spec is not None:
        _take_images(classify, servable, spec, max_images)
    _take_examples(classify, CLASSIFY_METHOD, signatures)
    regress = Verb("regress", "Examples in, numbers out", [], [])
    _take_examples(regress, REGRESS_METHOD, signatures)
    plain = {name: one for name, one in signatures.items() if one.method not in {CLASSIFY_METHOD, REGRESS_METHOD}}
    predict = Verb("predict", "Tensors in, tensors out", [], [])
    if plain:
        predict.requests.append(predict_request(plain))
        predict.answers.append(predict_response(plain))
    string = {"b64": _example_png(spec)} if spec is not None else "text"
    for name, signature in plain.items():
        predict.examples[name] = predict_example(name, signature, string)
    return (verb for verb in (classify, predict, regress) if verb.requests)


def _take_examples(verb: Verb, method: str, signatures: dict[str, Signature]) -> None:
    for name, signature in signatures.items():
        if signature.method == method:
            schema, example = tfs_examples.request_of(name, signature, signatures)
            verb.requests.append(schema)
            verb.answers = [*verb.answers, tfs_examples.answer_of(verb.name)][: len(verb.requests)]
            verb.examples[f"TensorFlow Serving's {name}"] = example


def _take_images(verb: Verb, servable: Servable, spec: ImageSpec, max_images: int) -> None:
    bounds = {"minItems": 1, "maxItems": max_images}
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, **bounds}
    one = {"b64": _example_png(spec)}
    verb.summary = "Images in, labels with probabilities out"
    verb.more = {
        "description": "One image as it is, several as a form, or base64 in JSON; of any size, upright by EXIF.",
        "parameters": [_TOP_K],
    }
    verb.requests += [B64, object_of({"images": {"type": "array", "items": B64, **bounds}})]
    verb.answers += _classes(servable, max_images)
    verb.examples |= {"one image": one, "several images": {"images": [one, one]}}
    verb.others = {
        **{f"image/{name.lower()}": {"schema": {"type": "string", "format": "binary"}} for name in FORMATS},
        "multipart/form-data": {"schema": object_of({"image": files})},
    }


def _classes(servable: Servable, max_images: int) -> list[Schema]:
    size = servable.signatures[DEFAULT_SIGNATURE].outputs[0].shape[1]
    count = len(servable.labels) if size is None else size
    labels = [printable(label) for label in servable.labels[:count]]
    label: Schema = {"type": "string"}
    if count and (size is not None or labels):
        label["enum"] = list(dict.fromkeys([*labels, *map(str, range(len(labels), count))]))
    index = {"type": "integer", "minimum": 0} | ({"maximum": size - 1} if size else {})
    found = object_of({"index": index, "label": label, "probability": {"type": ["number", "null"]}})
    best: Schema = {"type": "array", "items": found, "description": "Best first."}
    spec = object_of(
        {"name": {"const": printable(servable.name)}, "version": {"type": "string", "pattern": "^[0-9]+$"}}
    )
    several = {"type": "array", "items": object_of({"classes": best}), "minItems": 1, "maxItems": max_images}
    return [object_of({"model_spec": spec, "classes": best}), object_of({"model_spec": spec, "images": several})]


def _image_spec(servable: Servable) -> ImageSpec | None:
    """How images become the model's input, where it takes any."""
    if DEFAULT_SIGNATURE not in servable.signatures:
        return None
    try:
        return image_spec(servable, servable.signatures[DEFAULT_SIGNATURE])
    except UnsupportedError:
        return None


def _example_png(spec: ImageSpec) -> str:
    height, width = min(spec.height, _EXAMPLE_MAX_SIDE), min(spec.width, _EXAMPLE_MAX_SIDE)
    pixels = np.linspace(0, 255, height * width).astype(np.uint8).reshape(height, width)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


_TOP_K = {
    "name": "top_k",
    "in": "query",
    "description": "How many classes to answer, best first.",
    "schema": {"type": "integer", "minimum": 1, "maximum": _MAX_TOP_K, "default": 5},
}
