"""Both clients against a gateway process, and against what is none."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import numpy as np
import pytest
import trustme
from onnx import TensorProto

from serving.client import AddressError, AsyncClient, Client, ForeignAnswerError, UnreachableError, UntrustedError
from serving.errors import (
    DeadlineExceededError,
    InvalidInputError,
    ModelNotFoundError,
    OverloadedError,
    SignatureNotFoundError,
    UnavailableError,
    UnsupportedError,
)
from serving.signatures import DTYPES
from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.image_files import plain
from tests.support.onnx_models import expected_scores, write_identity_model, write_two_input_model
from tests.support.stranger import stranger


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "4", scale=4.0)
    write_two_input_model(models / "pair" / "1")
    write_identity_model(models / "text" / "1", TensorProto.STRING, ["N"])
    write_identity_model(models / "half" / "1", TensorProto.FLOAT16, ["N", 2])
    write_identity_model(models / "short" / "1", TensorProto.BFLOAT16, ["N", 2])
    with running_gateway(models) as running:
        yield running


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.rest_url) as found:
        yield found


PIXELS = np.random.default_rng(0).integers(0, 256, (5, 2, 2), np.uint8)


def test_an_array_is_answered_with_arrays_and_the_version(client: Client) -> None:
    answer = client.predict("brightness", PIXELS)
    assert (answer.model, answer.version, list(answer.outputs)) == ("brightness", 4, ["scores"])
    assert answer.output.dtype == np.float32
    np.testing.assert_array_equal(answer.output, expected_scores(PIXELS, 4.0))


def test_lists_become_what_the_model_takes(client: Client) -> None:
    np.testing.assert_array_equal(client.predict("brightness", PIXELS.tolist()).output, expected_scores(PIXELS, 4.0))


def test_several_inputs_go_by_name_and_several_outputs_come_so(client: Client) -> None:
    answer = client.predict("pair", {"a": np.float32([5, 1]), "b": [2.5, 1]})
    assert {name: output.tolist() for name, output in answer.outputs.items()} == {
        "sum": [7.5, 2.0],
        "difference": [2.5, 0.0],
    }
    with pytest.raises(ValueError, match="pair has several outputs, ask for one by name: "):
        answer.output  # noqa: B018


def test_nan_and_infinity_and_half_precision_are_exact(client: Client) -> None:
    sent = np.float16([[np.nan, np.inf], [-0.0, 65504]])
    assert client.predict("half", {"x": sent}).output.tobytes() == sent.tobytes()
    short = sent.astype(DTYPES["bfloat16"].numpy)
    answer = client.predict("short", {"x": short}).output
    assert (answer.dtype, answer.tobytes()) == (short.dtype, short.tobytes())


def test_strings_and_bytes_are_answered_as_bytes(client: Client) -> None:
    assert client.predict("text", ["ü", "a"]).output.tolist() == ["ü".encode(), b"a"]


def test_another_signature_and_a_version_may_be_named(client: Client) -> None:
    answer = client.predict("brightness", [plain(7)], signature_name="image_bytes", version=4)
    np.testing.assert_array_equal(answer.output, [[28.0, 28.0, 28.0]])
    with pytest.raises(SignatureNotFoundError):
        client.predict("brightness", [[1]], signature_name="other")
    with pytest.raises(ModelNotFoundError):
        client.predict("brightness", {"pixels": PIXELS}, version=5)


def test_an_image_is_answered_with_labels_whatever_it_is_given_as(client: Client, tmp_path: Path) -> None:
    pixels = np.uint8([[10, 20], [30, 40]])
    found = client.classify("brightness", pixels, top_k=2)
    assert [(one.index, one.label, one.probability) for one in found.classes] == [(2, "two", 160.0), (0, "zero", 100.0)]
    assert (found.best.label, found.model_spec.version) == ("two", "4")
    path = tmp_path / "image.png"
    path.write_bytes(plain(7))
    assert client.classify("brightness", path) == client.classify("brightness", plain(7))
    assert client.classify("brightness", str(path), version=4).best.probability == 28.0


def test_several_images_are_answered_in_order(client: Client) -> None:
    found = client.classify_many("brightness", [plain(shade) for shade in (3, 1, 2)], top_k=1)
    assert [image.best.probability for image in found] == [12.0, 4.0, 8.0]
    with pytest.raises(InvalidInputError, match=r"^image 1 \('image'\): not an image"):
        client.classify_many("brightness", [plain(1), b"text"])


def test_the_gateways_causes_are_typed(client: Client) -> None:
    with pytest.raises(ModelNotFoundError, match=r"^Servable not found for request: Latest"):
        client.classify("nobody", plain(1))
    with pytest.raises(UnsupportedError, match=r"^model pair has no image preprocessing"):
        client.classify("pair", plain(1))
    with pytest.raises(InvalidInputError, match=r"expected the inputs a, b by name, received one value"):
        client.predict("pair", [1.0])
    with pytest.raises(InvalidInputError, match="pixels"):
        client.predict("brightness", np.float64([[1]]))


def test_models_and_versions_are_listed(client: Client) -> None:
    assert next((model.name, model.task) for model in client.models()) == ("brightness", "classification")
    assert [(status.version, status.state) for status in client.versions("pair")] == [("1", "AVAILABLE")]


async def test_the_asynchronous_client_asks_many_questions_at_once(gateway: RunningGateway) -> None:
    async with AsyncClient(gateway.rest_url) as client:
        answers = await asyncio.gather(
            *(client.predict("brightness", {"pixels": PIXELS[n % 5][np.newaxis]}) for n in range(50))
        )
    scores = np.concatenate([answer.output for answer in answers])
    np.testing.assert_array_equal(scores, np.tile(expected_scores(PIXELS, 4.0), (10, 1)))


async def test_the_other_client_works_inside_of_a_running_loop(gateway: RunningGateway) -> None:
    with Client(gateway.rest_url) as client:
        assert client.predict("brightness", PIXELS).version == 4


def test_one_client_serves_several_threads(client: Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: client.predict("brightness", PIXELS[n : n + 1]).output[0], range(5)))
    np.testing.assert_array_equal(answers, expected_scores(PIXELS, 4.0))


def test_inputs_that_a_newer_version_has_are_looked_up_again(tmp_path: Path) -> None:
    write_identity_model(tmp_path / "m" / "1", TensorProto.FLOAT, ["N"], names=("old", "y"))
    with running_gateway(tmp_path) as gateway, Client(gateway.rest_url) as client:
        assert client.predict("m", [1]).version == 1
        write_identity_model(tmp_path / "m" / "2", TensorProto.INT64, ["N"], names=("new", "y"))
        gives_up_at = time.monotonic() + 60
        while client.versions("m")[0].version != "2" or client.versions("m")[0].state != "AVAILABLE":
            assert time.monotonic() < gives_up_at
        with pytest.raises(InvalidInputError):
            client.predict("m", [1])
        assert client.predict("m", [1]).output.dtype == np.int64


def test_without_a_gateway_the_address_is_said() -> None:
    with Client("http://127.0.0.1:9", retries=0) as client, pytest.raises(UnreachableError) as caught:
        client.models()
    assert str(caught.value).startswith("no gateway answers at http://127.0.0.1:9: ")


@pytest.mark.parametrize(
    "url", ["localhost:8501", "ftp://x", "http://", "http://[::1", "http://x:port", "http://x:65536"]
)
def test_an_address_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        Client(url)
    assert str(caught.value).startswith(f"{url}: ")


@pytest.mark.parametrize("trusts_another", [False, True])
async def test_a_certificate_that_is_not_trusted_is_said_and_asked_for_once(trusts_another: bool) -> None:
    shown, trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    trustme.CA().issue_cert("localhost").configure_cert(shown)
    if trusts_another:
        trustme.CA().configure_trust(trusted)
    asked: list[object] = []
    shown.sni_callback = lambda *_: asked.append(None)
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=shown) as server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        async with AsyncClient(url, tls=trusted) as client:
            with pytest.raises(UntrustedError) as caught:
                await client.models()
    assert str(caught.value) == f"the certificate of {url} is not trusted: unable to get local issuer certificate"
    assert len(asked) == 1


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_deadline_that_is_no_time_is_refused(seconds: float) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(InvalidInputError) as caught:
        client.predict("m", PIXELS, timeout_s=seconds)
    assert str(caught.value) == f"timeout_s: expected a number of seconds, received {seconds}"


def test_questions_that_cannot_be_are_refused_before_they_are_asked() -> None:
    with Client("http://127.0.0.1:9") as client:
        for question in (lambda: client.predict("", PIXELS), lambda: client.predict("", {"x": PIXELS})):
            with pytest.raises(InvalidInputError, match=r"^model: expected the name of a model, received an empty"):
                question()
        with pytest.raises(InvalidInputError, match=r"^images: expected at least one, received none$"):
            client.classify_many("m", [])


def test_a_closed_client_says_so() -> None:
    client = Client("http://127.0.0.1:9")
    client.close()
    with pytest.raises(RuntimeError, match=r"^the client has been closed$"):
        client.models()


def test_what_is_no_gateway_is_said_to_be_none() -> None:
    said = pytest.raises(ForeignAnswerError, match="is no Atelier gateway: status 200")
    with stranger(b"<html>It works!</html>") as other, Client(other.url) as client, said:
        client.classify("m", plain(1))


def test_a_deadline_holds_while_nothing_answers() -> None:
    late = pytest.raises(DeadlineExceededError, match=r"^no answer within 0.2 s$")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url) as client, late:
            client.predict("m", {"x": np.float32([1])}, timeout_s=0.2)


class Moody:
    """A server that answers its first questions with `moods`: a status, or None for a closed connection."""

    def __init__(self, *moods: int | None, retry_after: str = "0") -> None:
        self.moods = list(moods)
        self.asked = 0
        moody = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                moody.asked += 1
                mood = moody.moods.pop(0) if moody.moods else 200
                if mood is None:
                    self.close_connection = True
                    return
                body = b'{"models": []}' if mood == 200 else b'{"error": "not now"}'
                self.send_response(mood)
                self.send_header("retry-after", retry_after)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.mark.parametrize("moods", [(429,), (503, 503), (None,), (None, 503, None)])
def test_what_another_try_may_change_is_tried_again(moods: tuple[int | None, ...]) -> None:
    with Moody(*moods) as server, Client(server.url) as client:
        assert client.models() == ()
        assert server.asked == len(moods) + 1


@pytest.mark.parametrize("status", [400, 404, 413, 500, 501, 504])
def test_what_another_try_cannot_change_is_asked_once(status: int) -> None:
    with Moody(status) as server, Client(server.url) as client:
        with pytest.raises(Exception, match="not now"):
            client.models()
        assert server.asked == 1


def test_tries_are_counted_and_the_last_refusal_is_the_answer() -> None:
    with Moody(*[429] * 9) as server, Client(server.url, retries=2) as client:
        with pytest.raises(OverloadedError, match="not now"):
            client.models()
        assert server.asked == 3


def test_where_no_time_is_left_for_another_try_the_gateways_own_cause_is_said() -> None:
    with Moody(*[503] * 9, retry_after="100") as server, Client(server.url, timeout_s=4.0) as client:
        with pytest.raises(UnavailableError, match="not now"):
            client.models()
        assert server.asked == 1


def test_the_client_needs_no_more_than_its_extra() -> None:
    heavy = ["tensorflow", "onnxruntime", "uvloop", "google.protobuf", "orjson", "grpc", "prometheus_client"]
    script = f"import sys, serving.client; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_closing_twice_does_nothing_and_leaves_no_thread(gateway: RunningGateway) -> None:
    before = set(threading.enumerate())
    client = Client(gateway.rest_url)
    client.models()
    client.close()
    client.close()
    assert set(threading.enumerate()) <= before
