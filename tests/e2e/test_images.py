"""Images of every kind through a gateway process: as they are, as a form of several, as base64 in JSON."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from PIL import ExifTags, Image

from serving.images import ImageSpec, decode_image
from tests.support.bundles import write_bundle, write_many_classes
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.image_files import file_of, gradient, many_scans_jpeg, plain, png_header
from tests.support.onnx_models import LABELS, expected_scores

CLASSIFY = "/v1/models/brightness:classify"
SPEC = ImageSpec(2, 2, "grayscale")
SIDEWAYS = Image.Exif()
SIDEWAYS[ExifTags.Base.Orientation] = 6

KINDS = {
    **{f"{kind} {mode}": file_of(gradient(mode), kind) for kind in ("PNG", "WEBP", "BMP") for mode in ("L", "RGB")},
    **{f"JPEG {mode}": file_of(gradient(mode), "JPEG") for mode in ("L", "RGB", "CMYK")},
    **{f"{kind} RGBA": file_of(gradient("RGBA"), kind) for kind in ("PNG", "WEBP")},
    **{f"{kind} palette": file_of(gradient("P"), kind) for kind in ("PNG", "GIF", "BMP")},
    **{f"{kind} turned": file_of(gradient(), kind, exif=SIDEWAYS) for kind in ("PNG", "JPEG", "WEBP")},
    "PNG with gray and alpha": file_of(gradient("LA"), "PNG"),
    "PNG of one bit": file_of(gradient("1"), "PNG"),
    "PNG of 16 bits": file_of(Image.fromarray(np.uint16([[0, 20_000], [40_000, 65_535]])), "PNG"),
    "a palette with transparency": file_of(gradient("P"), "PNG", transparency=bytes(range(200))),
    "a GIF that moves": file_of(gradient("P"), "GIF", save_all=True, append_images=[Image.new("L", (12, 8), 255)]),
    "a progressive JPEG": file_of(gradient(), "JPEG", progressive=True),
    "one pixel": file_of(gradient("L").resize((1, 1)), "PNG"),
    "a large photograph": file_of(gradient().resize((3000, 2000)), "JPEG"),
}


def scores(classes: list[dict[str, Any]]) -> list[float]:
    """The probabilities in the order of the classes."""
    return [found["probability"] for found in sorted(classes, key=lambda found: found["index"])]


def expected(data: bytes) -> list[float]:
    """What version 4 answers to the image."""
    return expected_scores(decode_image(data, SPEC)[np.newaxis], 4.0)[0].tolist()


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def form(*files: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("image", file) for file in files]


def error_of(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    (error,) = response.json().values()
    assert isinstance(error, str)
    return error


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_is_answered_as_its_pixels_are(kind: str, gateway: RunningGateway) -> None:
    response = gateway.rest.post(CLASSIFY, content=KINDS[kind], headers={"content-type": "image/*"})
    answer = response.json()
    assert answer["model_spec"] == {"name": "brightness", "version": "4"}
    assert scores(answer["classes"]) == expected(KINDS[kind])
    assert [found["label"] for found in answer["classes"]] == [LABELS[found["index"]] for found in answer["classes"]]
    assert all(a["probability"] >= b["probability"] for a, b in itertools.pairwise(answer["classes"]))


@pytest.mark.parametrize("kind", ["PNG RGB", "JPEG RGB", "WEBP RGB", "GIF palette", "BMP RGB"])
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "application/octet-stream", None])
def test_an_image_is_known_whatever_its_type_is_called(
    kind: str, content_type: str | None, gateway: RunningGateway
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = gateway.rest.post(CLASSIFY, content=KINDS[kind], headers=headers)
    assert scores(response.json()["classes"]) == expected(KINDS[kind])


def test_a_form_of_several_files_is_answered_in_order(gateway: RunningGateway) -> None:
    files = [(f"{kind}.png", data) for kind, data in KINDS.items()]
    answer = gateway.rest.post(CLASSIFY, files=form(*files)).json()
    assert answer["model_spec"] == {"name": "brightness", "version": "4"}
    assert [scores(image["classes"]) for image in answer["images"]] == [expected(data) for _, data in files]


def test_images_of_one_request_are_one_batch(gateway: RunningGateway) -> None:
    def batches_and_rows() -> list[float]:
        lines = gateway.rest.get("/metrics").text.splitlines()
        figures = ('atelier_batch_rows_count{model_name="brightness"', 'atelier_batch_rows_sum{model_name="brightness"')
        return [float(line.split()[-1]) for figure in figures for line in lines if line.startswith(figure)]

    before = batches_and_rows()
    gateway.rest.post(CLASSIFY, files=form(*((f"{shade}.png", plain(shade)) for shade in range(20))))
    assert np.subtract(batches_and_rows(), before).tolist() == [1, 20]


def test_a_form_of_one_file_is_a_list_too(gateway: RunningGateway) -> None:
    answer = gateway.rest.post(f"{CLASSIFY}?top_k=1", files=form(("a.png", plain(7)))).json()
    assert answer["images"] == [{"classes": [{"index": 0, "label": "zero", "probability": 28.0}]}]


def test_one_image_in_json_is_answered_as_a_body_of_its_own(gateway: RunningGateway) -> None:
    answer = gateway.rest.post(CLASSIFY, json=b64(plain(7))).json()
    assert answer == gateway.rest.post(CLASSIFY, content=plain(7)).json()


def test_several_images_in_json_are_answered_in_order(gateway: RunningGateway) -> None:
    answer = gateway.rest.post(CLASSIFY, json={"images": [b64(data) for data in KINDS.values()]}).json()
    assert [scores(image["classes"]) for image in answer["images"]] == [expected(data) for data in KINDS.values()]


@pytest.mark.parametrize("path", ["/v1/models/brightness/versions/4:classify", "/v1/models/brightness:CLASSIFY"])
def test_every_form_of_the_address_takes_images(path: str, gateway: RunningGateway) -> None:
    assert gateway.rest.post(path, json=b64(plain(7))).json()["model_spec"]["version"] == "4"


BAD_JSON = {
    "no base64": ({"b64": "%"}, "'b64': expected base64, received '%': "),
    "a number for base64": ({"b64": 7}, "'b64': expected a base64 string, received a number"),
    "no image in it": ({"b64": "aGVsbG8="}, "not an image: expected PNG, JPEG, WEBP, GIF, BMP, received 5 bytes"),
    "no image of several": ({"images": [b64(plain(1)), b64(b"?")]}, "image 1: not an image: expected PNG"),
    "something beside": (
        {"b64": "", "top_k": 3},
        'expected {"b64": "…"} or {"images": [{"b64": "…"}, …]}, received an object with b64, top_k',
    ),
    "both forms": ({"b64": "", "images": []}, 'expected {"b64": "…"} or {"images": [{"b64": "…"}, …]}, received'),
    "no list": ({"images": b64(plain(1))}, 'expected {"b64": "…"} or {"images": [{"b64": "…"}, …]}, received'),
    "an empty list": ({"images": []}, "expected 1 to 128 images in a request, received none"),
    "a bare string in the list": ({"images": ["aGk="]}, 'image 0: expected {"b64": "…"}, received a string'),
    "a list of them": ([b64(b"")], 'expected {"b64": "…"} or {"images": [{"b64": "…"}, …]}, received a list'),
    "too many": ({"images": [b64(b"")] * 129}, "expected 1 to 128 images in a request, received more"),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_json_that_is_no_image_is_refused_in_a_sentence(case: str, gateway: RunningGateway) -> None:
    document, text = BAD_JSON[case]
    assert error_of(gateway.rest.post(CLASSIFY, json=document), 400).startswith(text)


def test_json_that_is_cut_off_is_said(gateway: RunningGateway) -> None:
    body = json.dumps(b64(plain(1))).encode()[:-1]
    assert error_of(gateway.rest.post(CLASSIFY, content=body), 400).startswith("JSON Parse error: ")


def test_what_has_examples_is_tensorflow_servings(gateway: RunningGateway) -> None:
    document = {"examples": [{"images": b64(plain(1))}]}
    assert "image 0" not in gateway.rest.post(CLASSIFY, json=document).json()["error"]


def test_a_bad_file_of_a_form_is_named_and_nothing_is_half_answered(gateway: RunningGateway) -> None:
    files = form(("good.png", plain(1)), ("bad.png", b"text"), ("größe\n.png", png_header(20_000, 20_000)))
    bad, large = error_of(gateway.rest.post(CLASSIFY, files=files), 400).split("; ")
    assert bad.startswith("image 1 ('bad.png'): not an image: ")
    assert large.startswith("image 2 ('größe")
    assert large.endswith("the image is too large: expected at most 50,000,000 pixels, received more than 178,956,970")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--y\r\n"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n1\r\n--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"a" * 100_000),
    ],
)
def test_a_form_that_is_none_is_refused_in_a_sentence(content_type: str, body: bytes, gateway: RunningGateway) -> None:
    response = gateway.rest.post(CLASSIFY, content=body, headers={"content-type": content_type})
    assert error_of(response, 400).startswith("the body is no complete multipart/form-data: ")


def test_an_empty_form_and_one_of_too_many_files_are_refused(gateway: RunningGateway) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    text = "expected 1 to 128 images in a request, received "
    assert error_of(gateway.rest.post(CLASSIFY, content=b"--x--\r\n", headers=headers), 400) == text + "none"
    many = form(*[("a.png", b"")] * 129)
    assert error_of(gateway.rest.post(CLASSIFY, files=many), 400) == text + "more"


def test_a_form_over_the_limit_is_refused(gateway: RunningGateway) -> None:
    files = form(("a.png", b"x" * 600_000), ("b.png", b"x" * 600_000))
    text = "request body: expected at most 1,000,000 bytes, received more"
    assert error_of(gateway.rest.post(CLASSIFY, files=files), 413) == text


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that gives an image a tenth of a second, and takes two at a time."""
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "4", scale=4.0)
    with running_gateway(models, max_image_cpu_s=0.1, max_request_images=2, max_json_bytes=100_000) as running:
        yield running


def test_an_image_that_keeps_the_decoder_busy_is_given_up(strict: RunningGateway) -> None:
    text = "the image takes too long to decode: expected at most 0.1 s of processor time"
    assert error_of(strict.rest.post(CLASSIFY, content=many_scans_jpeg(1_000, 40_000)), 400) == text
    assert strict.rest.post(CLASSIFY, content=plain(1)).status_code == 200


def test_the_number_of_images_in_a_request_is_a_setting(strict: RunningGateway) -> None:
    files = form(*[("a.png", plain(1))] * 3)
    assert strict.rest.post(CLASSIFY, files=files[:2]).status_code == 200
    assert (
        error_of(strict.rest.post(CLASSIFY, files=files), 400) == "expected 1 to 2 images in a request, received more"
    )


def test_json_has_a_limit_of_its_own(strict: RunningGateway) -> None:
    body = json.dumps(b64(b"\0" * 100_000)).encode()
    text = "JSON: expected at most 100,000 bytes, received more"
    assert error_of(strict.rest.post(CLASSIFY, content=body), 413) == text
    assert error_of(strict.rest.post(CLASSIFY, content=b"\0" * 200_000, headers={"content-type": "image/png"}), 400)


def test_an_answer_of_very_many_classes_is_written_beside_the_worker(tmp_path: Path) -> None:
    write_many_classes(tmp_path / "many" / "1", 1000)
    with running_gateway(tmp_path) as gateway:
        (worker,) = map(psutil.Process, gateway.process.worker_pids)
        path = "/v1/models/many:classify?top_k=1000"
        (few,) = gateway.rest.post(path, files=form(("a.png", plain(2)))).json()["images"]
        assert worker.children() == []
        shades = [2] * 64 + [3] * 64
        many = gateway.rest.post(path, files=form(*[("a.png", plain(shade)) for shade in shades])).json()
        assert len(worker.children()) == 1
    assert many["model_spec"] == {"name": "many", "version": "1"}
    assert many["images"][:64] == [few] * 64
    best, *_ = many["images"][127]["classes"]
    assert best == {"index": 999, "label": "class 999", "probability": 2997.0}
    assert [found["index"] for found in many["images"][127]["classes"]] == list(range(999, -1, -1))
