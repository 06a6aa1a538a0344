"""Questions and answers as HTTP, pure: what both clients send, and what they make of what comes back."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from pydantic import BaseModel, ValidationError

from serving.client.answers import Classification, Classifications, InferHeader, Prediction, Refusal
from serving.client.choice import Choice
from serving.client.failures import CAUSE_OF_STATUS, ForeignAnswerError
from serving.client.tensors import decode, encode
from serving.errors import InvalidInputError, ServingError
from serving.signatures import DEFAULT_SIGNATURE

AnswerT = TypeVar("AnswerT", bound=BaseModel)
ImageSource = bytes | str | PathLike[str] | np.ndarray
"""An image file's content, its path, or uint8 pixels of shape `[height, width]` or `[height, width, 3]`."""

_HEADER_LENGTH = "inference-header-content-length"
_FIRST_ERROR_STATUS = 400


@dataclass(frozen=True)
class Question:
    """One request. It changes nothing, so that it may be asked again."""

    method: str
    path: str
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[str, tuple[str, bytes]]] | None = None
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What came back, whoever it is from."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes


def ask_inference(
    choice: Choice, inputs: Mapping[str, np.ndarray], signature_name: str, timeout_s: float | None
) -> Question:
    """An inference with binary tensors both ways; the gateway gives up at the deadline too.

    Raises:
        InvalidInputError: an input's dtype is one that no model takes.
    """
    parameters: dict[str, Any] = {"binary_data_output": True}
    if timeout_s is not None:
        parameters["timeout"] = max(1, int(timeout_s * 1e6))
    if signature_name != DEFAULT_SIGNATURE:
        parameters["signature_name"] = signature_name
    if choice.label is not None:
        parameters["version_label"] = choice.label
    entries, binary = [], []
    for name, array in inputs.items():
        datatype, content = encode(name, array)
        size = {"binary_data_size": len(content)}
        entries.append({"name": name, "datatype": datatype, "shape": array.shape, "parameters": size})
        binary.append(content)
    header = json.dumps({"parameters": parameters, "inputs": entries}).encode()
    return Question(
        "POST",
        choice.infer_path,
        content=b"".join([header, *binary]),
        headers={_HEADER_LENGTH: str(len(header)), "content-type": "application/octet-stream"},
    )


def read_inference(reply: Reply) -> Prediction:
    """The outputs of an inference.

    Raises:
        ServingError: why the gateway refused.
        ForeignAnswerError: it is no gateway.
    """
    _check_status(reply)
    try:
        length = int(reply.headers.get(_HEADER_LENGTH, ""))
        header = InferHeader.model_validate_json(reply.content[:length])
        outputs, start = {}, length
        for output in header.outputs:
            end = start + output.parameters.binary_data_size
            outputs[output.name] = decode(output.datatype, output.shape, reply.content[start:end])
            start = end
        prediction = Prediction(header.model_name, int(header.model_version), outputs)
    except (ValueError, struct.error) as error:
        raise _foreign(reply) from error
    if start != len(reply.content):
        raise _foreign(reply)
    return prediction


def ask_classes(choice: Choice, image: ImageSource, top_k: int) -> Question:
    """The classes of one image.

    Raises:
        InvalidInputError: an array that is no image.
        OSError: the file cannot be read.
    """
    headers = {"content-type": "image/*"}
    path = f"{choice.path}:classify"
    return Question("POST", path, content=_file_of(image)[1], headers=headers, params={"top_k": str(top_k)})


def ask_classes_of_many(choice: Choice, images: Sequence[ImageSource], top_k: int) -> Question:
    """The classes of several images, as one form.

    Raises:
        InvalidInputError: no images, or an array that is none.
        OSError: a file cannot be read.
    """
    if not images:
        raise InvalidInputError("images: expected at least one, received none")
    files = [("image", _file_of(image)) for image in images]
    return Question("POST", f"{choice.path}:classify", files=files, params={"top_k": str(top_k)})


def read_classes_of_many(reply: Reply) -> list[Classification]:
    """The answers, in the order of the images.

    Raises:
        ServingError: why the gateway refused.
        ForeignAnswerError: it is no gateway.
    """
    found = read(reply, Classifications)
    return [Classification(model_spec=found.model_spec, classes=image.classes) for image in found.images]


def read(reply: Reply, shape: type[AnswerT]) -> AnswerT:
    """A JSON answer.

    Raises:
        ServingError: why the gateway refused.
        ForeignAnswerError: it is no gateway.
    """
    _check_status(reply)
    try:
        return shape.model_validate_json(reply.content)
    except ValidationError as error:
        raise _foreign(reply) from error


def _check_status(reply: Reply) -> None:
    if reply.status < _FIRST_ERROR_STATUS:
        return
    try:
        refusal = Refusal.model_validate_json(reply.content)
    except ValidationError as error:
        raise _foreign(reply) from error
    raise CAUSE_OF_STATUS.get(reply.status, ServingError)(refusal.error)


def _foreign(reply: Reply) -> ForeignAnswerError:
    return ForeignAnswerError(f"what answers at {reply.url} is no Atelier gateway: status {reply.status}")


def _file_of(image: ImageSource) -> tuple[str, bytes]:
    """What errors call the image, and its file; an array becomes a PNG, which keeps every pixel."""
    if isinstance(image, bytes):
        return "image", image
    if not isinstance(image, np.ndarray):
        return Path(image).name, Path(image).read_bytes()
    is_picture = image.dtype == np.uint8 and image.size and (image.ndim == 2 or image.shape[2:] == (3,))
    if not is_picture:
        raise InvalidInputError(
            "image: expected uint8 pixels of shape [height, width] or [height, width, 3], "
            f"received {image.dtype} of shape {list(image.shape)}"
        )
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "PNG", compress_level=1)
    return "array", file.getvalue()
