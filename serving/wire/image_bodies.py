"""Requests of several images: `multipart/form-data`, and JSON with base64."""

from __future__ import annotations

from typing import Any

from multipart import MultipartError, PushMultipartParser, parse_options_header

from serving.errors import InvalidInputError
from serving.images import ImageFile
from serving.wire.base64_text import decode_base64
from serving.wire.json_bodies import parse

_B64, _IMAGES = "b64", "images"
_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM")
"""What the files of `serving.images.FORMATS` start with, and no JSON."""
_SHOWN_CHARACTERS = 80


def is_image(content_type: str, body: bytes) -> bool:
    """Whether the body is one image file: it says so, or looks so, since curl calls everything a form."""
    return content_type.lower().startswith("image/") or body.startswith(_STARTS)


def is_multipart(content_type: str) -> bool:
    """Whether the header says that the body is a form."""
    return content_type.lower().startswith("multipart/form-data")


def has_images(body: bytes) -> bool:
    """Whether a JSON body is meant for `parse_json`: TensorFlow Serving's Classify always has `examples`.

    Exact for bodies that `parse_json` takes: their strings are base64, which holds no quotes.
    """
    return b'"examples"' not in body and (b'"b64"' in body or b'"images"' in body)


def parse_multipart(content_type: str, body: bytes, max_images: int) -> list[ImageFile]:
    """Every part as an image, in order, whatever its field is called.

    Raises:
        InvalidInputError: no complete form, no part, or more than `max_images`.
    """
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    files: list[ImageFile] = []
    chunks: list[bytes] = []
    name = ""
    try:
        with PushMultipartParser(boundary, content_length=len(body)) as parser:
            for event in parser.parse(body):
                if event is None:
                    files.append(ImageFile(b"".join(chunks), _name(len(files), name)))
                elif isinstance(event, bytes | bytearray):
                    chunks.append(bytes(event))
                else:
                    _check_count(len(files) + 1, max_images)
                    name, chunks = event.filename or event.name, []
    except MultipartError as error:
        raise InvalidInputError(f"the body is no complete multipart/form-data: {error}") from error
    _check_count(len(files), max_images)
    return files


def parse_json(body: bytes, max_images: int) -> tuple[list[ImageFile], bool]:
    """`{"b64": "…"}` or `{"images": [{"b64": "…"}, …]}`; and whether it is the first of them.

    Raises:
        InvalidInputError: neither of them, no image, or more than `max_images`.
    """
    document = parse(body)
    if isinstance(document, dict) and document.keys() == {_B64}:
        return [ImageFile(_decode(document[_B64], "'b64'"))], True
    if not isinstance(document, dict) or document.keys() != {_IMAGES} or not isinstance(document[_IMAGES], list):
        raise InvalidInputError(
            f'expected {{"b64": "…"}} or {{"images": [{{"b64": "…"}}, …]}}, received {_kind(document)}'
        )
    _check_count(len(document[_IMAGES]), max_images)
    files = []
    for index, image in enumerate(document[_IMAGES]):
        name = _name(index)
        if not isinstance(image, dict) or image.keys() != {_B64}:
            raise InvalidInputError(f'{name}: expected {{"b64": "…"}}, received {_kind(image)}')
        files.append(ImageFile(_decode(image[_B64], f"{name}: 'b64'"), name))
    return files, False


def _check_count(count: int, max_images: int) -> None:
    if not 1 <= count <= max_images:
        received = "more" if count else "none"
        raise InvalidInputError(f"expected 1 to {max_images} images in a request, received {received}")


def _name(index: int, filename: str = "") -> str:
    """What errors call an image: its place in the request, from 0, and its file's name where it has one."""
    return f"image {index} ({filename[:_SHOWN_CHARACTERS]!r})" if filename else f"image {index}"


def _decode(value: Any, what: str) -> bytes:
    if not isinstance(value, str):
        raise InvalidInputError(f"{what}: expected a base64 string, received {_kind(value)}")
    try:
        return decode_base64(value)
    except ValueError as error:
        raise InvalidInputError(f"{what}: expected base64, received {value[:20]!r}: {error}") from error


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object with " + (", ".join(sorted(value))[:_SHOWN_CHARACTERS] or "nothing in it")
    names = {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
