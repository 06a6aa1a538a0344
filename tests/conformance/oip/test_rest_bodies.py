"""The Open Inference Protocol's REST bodies as no client of Triton writes them: by hand, by KServe, by mistake."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zlib
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.gateway import RunningGateway

Json = dict[str, Any]
FOUR = [1.0, 2.0, 3.0, 4.0]


def body(data: Any = FOUR, **changed: Any) -> Json:
    """A request for `echo-FP32`; `changed` are fields of its input, left out where they are None."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": data, **changed}
    return {"inputs": [{key: value for key, value in tensor.items() if value is not None}]}


def ask(gateway: RunningGateway, content: Json | bytes, model: str = "echo-FP32", **headers: str) -> httpx.Response:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.rest.post(f"/v2/models/{model}/infer", content=data, headers=named)


def with_binary(header: Json, *tensors: bytes) -> tuple[bytes, str]:
    """A body with binary data behind its JSON, and the value of its header."""
    encoded = json.dumps(header).encode()
    return b"".join([encoded, *tensors]), str(len(encoded))


@pytest.mark.parametrize(
    "data",
    [FOUR, [[1, 2], [3, 4]], [[1.0, 2.0, 3.0, 4.0]], [[[1], [2]], [[3], [4]]]],
    ids=["flat", "as", "row", "deep"],
)
def test_data_may_be_flat_or_nested(data: Any, gateway: RunningGateway) -> None:
    answer = ask(gateway, {"id": "7", **body(data)})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "model_name": "echo-FP32",
        "model_version": "7",
        "id": "7",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 2], "data": FOUR}],
    }


def test_an_answer_has_no_id_where_the_request_has_none(gateway: RunningGateway) -> None:
    assert "id" not in ask(gateway, body()).json()


def test_half_floats_may_be_json_too(gateway: RunningGateway) -> None:
    answer = ask(gateway, body([0.5, 1, 2, 65504], datatype="FP16"), "echo-FP16").json()
    assert answer["outputs"][0]["data"] == [0.5, 1.0, 2.0, 65504.0]
    answer = ask(gateway, body([0.5, 1, 3.140625, 1e38], datatype="BF16"), "echo-BF16").json()
    assert answer["outputs"][0]["data"] == [0.5, 1.0, 3.140625, 9.96921e37]


def test_nan_and_infinity_are_written_bare(gateway: RunningGateway) -> None:
    answer = ask(gateway, b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[NaN,-Infinity]}]}')
    assert answer.text.endswith('"data":[NaN,-Infinity]}]}')


def test_binary_data_comes_back_behind_the_json(gateway: RunningGateway) -> None:
    header = {**body(None, parameters={"binary_data_size": 16}), "parameters": {"binary_data_output": True}}
    content, length = with_binary(header, np.float32(FOUR).tobytes())
    answer = ask(gateway, content, inference_header_content_length=length)
    assert answer.headers["content-type"] == "application/octet-stream"
    ends = int(answer.headers["inference-header-content-length"])
    assert json.loads(answer.content[:ends])["outputs"][0]["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(answer.content[ends:], np.float32).tolist() == FOUR


def test_an_output_may_say_otherwise_than_the_request(gateway: RunningGateway) -> None:
    request = {
        **body(),
        "parameters": {"binary_data_output": True},
        "outputs": [{"name": "y", "parameters": {"binary_data": False}}],
    }
    assert ask(gateway, request).json()["outputs"][0]["data"] == FOUR


@pytest.mark.parametrize(
    ("model", "data", "shape", "expected"),
    [
        ("brightness", bytes([10, 20, 30, 40]), [1, 3], np.float32([100, 40, 160]).tobytes()),
        ("brightness", bytes(8), [2, 3], bytes(24)),
        ("echo-FP64", np.float64(FOUR).tobytes(), [1, 4], np.float64(FOUR).tobytes()),
        ("text", b"a\xc3\xbc", [1], struct.pack("<I", 3) + b"a\xc3\xbc"),
    ],
)
def test_a_header_of_length_0_means_that_the_body_is_the_only_input(
    model: str, data: bytes, shape: list[int], expected: bytes, gateway: RunningGateway
) -> None:
    answer = ask(gateway, data, model, inference_header_content_length="0")
    ends = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.content[:ends])["outputs"]
    assert output["shape"] == shape
    assert answer.content[ends:] == expected


@pytest.mark.parametrize(
    ("model", "data", "reason"),
    [
        ("pair", bytes(8), "a raw body: expected a model with 1 input, it has 2: a, b"),
        ("brightness", bytes(5), 'input "pixels": expected 8 bytes for shape [2, 2, 2] of UINT8, received 5'),
        ("brightness", b"", "expected at least one row, received none"),
        ("echo-FP32", bytes(6), 'input "x": expected 8 bytes for shape [1, 2] of FP32, received 6'),
    ],
)
def test_raw_bodies_that_do_not_fit_are_refused(model: str, data: bytes, reason: str, gateway: RunningGateway) -> None:
    answer = ask(gateway, data, model, inference_header_content_length="0")
    assert (answer.status_code, answer.json()) == (400, {"error": reason})


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_bodies_are_bounded_by_what_they_inflate_to(encoding: str, gateway: RunningGateway) -> None:
    compress = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding]
    request = json.dumps(body()).encode()
    assert ask(gateway, compress(request), content_encoding=encoding).json()["outputs"][0]["data"] == FOUR
    assert ask(gateway, compress(b" " * 50_000_000), content_encoding=encoding).status_code == 413
    assert ask(gateway, b"no such thing", content_encoding=encoding).status_code == 400
    assert ask(gateway, request, content_encoding="br").json() == {
        "error": "content-encoding: expected gzip or deflate, received br"
    }


class Refusal(NamedTuple):
    """A body that is refused with 400, and the sentence."""

    content: Json | bytes
    reason: str
    model: str = "echo-FP32"


REFUSALS = {
    "no JSON": Refusal(b"{", "JSON Parse error: "),
    "an empty body": Refusal(b"", "JSON Parse error: "),
    "a list": Refusal(b"[]", "JSON body: expected an object, received a list"),
    "no inputs": Refusal({}, "inputs: expected a list, received null"),
    "inputs that are no list": Refusal({"inputs": {}}, "inputs: expected a list, received an object"),
    "an input that is no object": Refusal({"inputs": [3]}, "inputs[0]: expected an object, received 3"),
    "an input without a name": Refusal(body(name=None), "inputs[0].name: expected a string, received null"),
    "a datatype that is no string": Refusal(body(datatype=3), "inputs[0].datatype: expected a string, received 3"),
    "no shape": Refusal(body(shape=None), "inputs[0].shape: expected a list, received null"),
    "a shape of fractions": Refusal(body(shape=[2, 2.0]), 'input "x": expected a shape of whole numbers, received 2.0'),
    "a shape of booleans": Refusal(
        body(shape=[True, 4]), 'input "x": expected a shape of whole numbers, received True'
    ),
    "a shape beyond 64 bits": Refusal(
        b'{"inputs":[{"name":"x","datatype":"FP32","shape":[99999999999999999999,0],"data":[]}]}',
        'input "x": expected a shape of whole numbers, received 1e+20',
    ),
    "a negative size": Refusal(body(shape=[-2, -2]), 'input "x": expected shape [?, ?], received [-2, -2]'),
    "a huge shape without data": Refusal(
        body([], shape=[2**40, 2**40]),
        f'input "x": expected {2**80} values for shape [{2**40}, {2**40}], received 0',
    ),
    "an empty shape of many rows": Refusal(
        body([], shape=[2**40, 0]), f"expected at most 4096 rows in a request, received {2**40}"
    ),
    "another rank": Refusal(body(shape=[4]), 'input "x": expected shape [?, ?], received [4]'),
    "another datatype": Refusal(body(datatype="FP64"), 'input "x": expected datatype FP32, received FP64'),
    "an unknown datatype": Refusal(body(datatype="FP8"), 'input "x": expected datatype FP32, received FP8'),
    "too few values": Refusal(body([1, 2, 3]), 'input "x": expected 4 values for shape [2, 2], received 3'),
    "ragged lists": Refusal(body([[1, 2], [3]]), 'input "x": expected rows of one shape [?, ?], received ragged lists'),
    "text for numbers": Refusal(body(["a", "b", "c", "d"]), 'input "x": expected float32 values, received strings'),
    "lists without end": Refusal(
        b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":' + b"[" * 500 + b"]" * 500 + b"}]}",
        'input "x": expected lists at most 32 deep, received more',
    ),
    "a number too large": Refusal(
        body([300, 0, 0, 0], datatype="UINT8"),
        'input "x": expected uint8 values from 0 to 255, received 300',
        "echo-UINT8",
    ),
    "numbers for text": Refusal(
        body([1, 2, 3, 4], datatype="BYTES"),
        'input "x": expected strings or {"b64": …}, received an integer',
        "echo-BYTES",
    ),
    "neither data nor its size": Refusal(body(None), 'input "x": expected data or binary_data_size, received neither'),
    "both data and its size": Refusal(
        body(parameters={"binary_data_size": 16}), 'input "x": expected data or binary_data_size, received both'
    ),
    "a size without binary data": Refusal(
        body(None, parameters={"binary_data_size": 16}),
        'input "x": expected 16 bytes as binary_data_size says, received 0 bytes of binary data',
    ),
    "parameters that are none": Refusal(
        body(parameters=[1]), 'input "x": parameters: expected an object, received a list'
    ),
    "a flag that is none": Refusal(
        {**body(), "parameters": {"binary_data_output": 1}},
        "the request: expected true or false for binary_data_output, received 1",
    ),
    "an id that is no string": Refusal({"id": 3, **body()}, "id: expected a string, received 3"),
    "an unknown input": Refusal(body(name="z"), "inputs: expected x, received z"),
    "an unknown output": Refusal(
        {**body(), "outputs": [{"name": "z"}]},
        "unexpected inference output 'z' for model 'echo-FP32': expected one of y",
    ),
    "an output that is no object": Refusal({**body(), "outputs": [3]}, "outputs[0]: expected an object, received 3"),
    "a timeout that is none": Refusal(
        {**body(), "parameters": {"timeout": "soon"}},
        "timeout: expected a whole number of microseconds from 0, received soon",
    ),
    "an unknown signature": Refusal(
        {**body(), "parameters": {"signature_name": "other"}},
        'Serving signature name: "other" not found in signature def',
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_body_that_does_not_fit_is_refused_in_a_sentence(case: str, gateway: RunningGateway) -> None:
    refusal = REFUSALS[case]
    answer = ask(gateway, refusal.content, refusal.model)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(refusal.reason)


@pytest.mark.parametrize(
    ("length", "sizes", "data", "status", "reason"),
    [
        ("x", [16], bytes(16), 400, "Inference-Header-Content-Length: expected a whole number, received 'x'"),
        ("-1", [16], bytes(16), 400, "Inference-Header-Content-Length: expected a whole number, received '-1'"),
        ("9999", [16], bytes(16), 400, "Inference-Header-Content-Length: expected at most the body's "),
        ("5", [16], bytes(16), 400, "JSON Parse error: "),
        ("", [16], bytes(12), 400, 'input "x": expected 16 bytes as binary_data_size says, received 12 bytes'),
        ("", [16], bytes(20), 400, "binary data: expected 16 bytes, as the inputs announce with binary_data_size, rec"),
        ("", [-1], bytes(16), 400, 'input "x": expected -1 bytes as binary_data_size says, received 16 bytes'),
        ("", ["16"], bytes(16), 400, "input \"x\": expected '16' bytes as binary_data_size says, received 16 bytes"),
        ("", [12], bytes(12), 400, 'input "x": expected 16 bytes for shape [2, 2] of FP32, received 12'),
        ("", [16], bytes(9_000_000), 413, "request body: expected at most 8,000,000 bytes, received more"),
    ],
)
def test_binary_data_that_does_not_add_up_is_refused(
    length: str, sizes: list[Any], data: bytes, status: int, reason: str, gateway: RunningGateway
) -> None:
    content, right = with_binary(body(None, parameters={"binary_data_size": sizes[0]}), data)
    answer = ask(gateway, content, inference_header_content_length=length or right)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(reason)


def test_a_timeout_that_cannot_be_kept_ends_the_request(gateway: RunningGateway) -> None:
    in_time = ask(gateway, {**body(), "parameters": {"timeout": 60_000_000}})
    assert in_time.status_code == 200
    takes_its_time = json.dumps({**body(), "parameters": {"timeout": 1}}).encode() + b" " * 200_000
    late = ask(gateway, takes_its_time)
    assert late.status_code == 504
    assert late.json()["error"].startswith("the deadline ")


def test_another_signature_may_be_chosen_by_a_parameter(gateway: RunningGateway) -> None:
    file = io.BytesIO()
    Image.fromarray(np.uint8([[10, 20], [30, 40]])).save(file, "PNG")
    image = struct.pack("<I", len(file.getvalue())) + file.getvalue()
    tensor = {"datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(image)}}
    spec = gateway.rest.get("/v1/models/brightness/metadata").json()["metadata"]["signature_def"]["signature_def"]
    (name,) = spec["image_bytes"]["inputs"]
    header = {"inputs": [{"name": name, **tensor}], "parameters": {"signature_name": "image_bytes"}}
    content, length = with_binary(header, image)
    answer = ask(gateway, content, "brightness", inference_header_content_length=length).json()
    assert answer["outputs"][0]["data"] == [100, 40, 160]


@pytest.mark.parametrize(
    ("where", "parameter", "named"),
    [
        ("inputs", "shared_memory_region", 'input "x": this gateway does not offer shared memory'),
        ("outputs", "shared_memory_region", 'output "y": this gateway does not offer shared memory'),
    ],
)
def test_what_this_gateway_does_not_offer_is_refused_and_not_ignored(
    where: str, parameter: str, named: str, gateway: RunningGateway
) -> None:
    request = {**body(), "outputs": [{"name": "y"}]}
    request[where][0]["parameters"] = {parameter: 2}
    answer = ask(gateway, request)
    assert answer.status_code == 501
    assert answer.json()["error"].startswith(named)


def test_json_has_a_limit_of_its_own(gateway: RunningGateway) -> None:
    large = json.dumps(body([1.5] * 300_000)).encode()
    assert ask(gateway, large).status_code == 413
    assert ask(gateway, large, inference_header_content_length=str(len(large))).status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status", "answer"),
    [
        ("GET", "/v2/health/live", 200, {"live": True}),
        ("GET", "/v2/health/ready", 200, {"ready": True}),
        ("GET", "/v2/models/brightness/ready", 200, {"name": "brightness", "ready": True}),
        ("GET", "/v2/models/brightness/versions/4/ready", 200, {"name": "brightness", "ready": True}),
        ("GET", "/v2/models/nothing/ready", 404, {"error": "Request for unknown model: 'nothing' is not found"}),
        (
            "GET",
            "/v2/models/brightness/versions/99/ready",
            404,
            {"error": "Request for unknown model: 'brightness' version 99 is not found"},
        ),
        (
            "GET",
            "/v2/models/brightness/versions/new",
            400,
            {"error": "model version: expected a whole number, received 'new'"},
        ),
        ("GET", "/v2/models/a%20b%2Fc", 404, {"error": "Request for unknown model: 'a b/c' is not found"}),
        ("POST", "/v2/health/live", 405, {"error": "/v2/health/live: expected GET, received POST"}),
        (
            "GET",
            "/v2/models/brightness/infer",
            405,
            {"error": "/v2/models/brightness/infer: expected POST, received GET"},
        ),
        (
            "POST",
            "/v2/repository/models/text/load",
            405,
            {"error": "/v2/repository/models/text/load: expected GET, received POST"},
        ),
        ("GET", "/v2/repository/index", 405, {"error": "/v2/repository/index: expected POST, received GET"}),
    ],
)
def test_a_path_is_answered_with_its_status(
    method: str, path: str, status: int, answer: Json, gateway: RunningGateway
) -> None:
    response = gateway.rest.request(method, path)
    assert (response.status_code, response.json()) == (status, answer)


def test_an_unknown_path_is_told_the_known_ones(gateway: RunningGateway) -> None:
    response = gateway.rest.get("/v2/nothing")
    assert response.status_code == 404
    assert response.json()["error"].startswith("Not found: /v2/nothing; known: /v2, /v2/health/live")


def test_the_index_takes_a_body_or_none(gateway: RunningGateway) -> None:
    path = "/v2/repository/index"
    every = gateway.rest.post(path).json()
    assert {"name": "text", "version": "1", "state": "READY", "reason": ""} in every
    assert gateway.rest.post(path, json={"ready": True}).json() == [one for one in every if one["state"] == "READY"]
    refused = gateway.rest.post(path, json={"ready": "yes"})
    assert (refused.status_code, refused.json()) == (400, {"error": "ready: expected true or false, received a string"})
