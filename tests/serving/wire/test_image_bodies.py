"""Bodies of several images, of any bytes."""

from __future__ import annotations

import base64

import httpx
import orjson
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidInputError
from serving.images import ImageFile
from serving.wire.image_bodies import has_images, parse_json, parse_multipart

FORM = "multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n'


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_a_form_gives_back_the_very_bytes(contents: list[bytes]) -> None:
    request = httpx.Request("POST", "http://x", files=[("image", ("a.png", content)) for content in contents])
    files = parse_multipart(request.headers["content-type"], request.read(), 5)
    assert files == [ImageFile(content, f"image {index} ('a.png')") for index, content in enumerate(contents)]


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_json_gives_back_the_very_bytes(contents: list[bytes]) -> None:
    body = orjson.dumps({"images": [{"b64": base64.b64encode(content).decode()} for content in contents]})
    assert has_images(body)
    files, is_single = parse_json(body, 5)
    assert not is_single
    assert files == [ImageFile(content, f"image {index}") for index, content in enumerate(contents)]


@given(st.lists(st.sampled_from([PART, b"--x", b"--", b"\r\n", b"Content-Disposition: form-data", b": ", b"\xff"])))
def test_any_other_form_is_invalid_input(pieces: list[bytes]) -> None:
    try:
        files = parse_multipart(FORM, b"".join(pieces), 3)
    except InvalidInputError:
        return
    assert 1 <= len(files) <= 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3) | st.just("aGk="),
    lambda values: st.lists(values) | st.dictionaries(st.sampled_from(["b64", "images", "x"]), values),
)


@given(JSON)
def test_any_other_json_is_invalid_input(document: object) -> None:
    try:
        files, is_single = parse_json(orjson.dumps(document), 3)
    except InvalidInputError:
        return
    assert len(files) == 1 if is_single else 1 <= len(files) <= 3


def test_a_field_without_a_file_is_called_by_its_own_name() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n3\r\n--x--\r\n'
    assert parse_multipart(FORM, body, 1) == [ImageFile(b"3", "image 0 ('top_k')")]
