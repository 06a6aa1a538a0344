"""The model that is asked is found out from the server; what is none is named."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from onnx import TensorProto

from loadtest.errors import TargetError, UsageError
from loadtest.target import Target, connection_trouble, find_target
from serving.signatures import TensorSpec
from tests.support.bundles import write_bundle
from tests.support.gateway import running_gateway
from tests.support.onnx_models import write_identity_model, write_two_input_model
from tests.support.stranger import stranger

TARGET = Target(
    "brightness",
    TensorSpec("pixels", "uint8", (None, 2, 2)),
    TensorSpec("scores", "float32", (None, 3)),
    is_classifier=True,
    takes_images=True,
)


def test_the_target_is_found_out_from_the_gateway(tmp_path: Path) -> None:
    write_bundle(tmp_path / "brightness" / "1")
    write_two_input_model(tmp_path / "pair" / "1")
    write_identity_model(tmp_path / "text" / "1", TensorProto.STRING, ["N"])
    with running_gateway(tmp_path) as gateway:
        assert find_target(gateway.rest_url, "brightness") == TARGET
        for model in ("pair", "text"):
            with pytest.raises(TargetError, match=f"^model {model}: expected one numeric input and one numeric output"):
                find_target(gateway.rest_url, model)
        with pytest.raises(
            TargetError, match=r"/v1/models/a%2Fb/metadata answers 404: .*Latest\(a/b\).*one of: brightness, "
        ):
            find_target(gateway.rest_url, "a/b")
        tls_url = gateway.rest_url.replace("http:", "https:")
        with pytest.raises(TargetError, match=r"it does not speak TLS as expected; if it speaks none, use http://"):
            find_target(tls_url, "brightness")


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b'{"metadata": {"signature_def": 3}}'])
def test_something_else_that_answers_is_no_target(body: bytes) -> None:
    with stranger(body) as other, pytest.raises(TargetError, match=r"^no model server answers at "):
        find_target(other.url, "m")


def test_a_server_that_is_down_is_named() -> None:
    with pytest.raises(TargetError, match=r"^no model server answers at http://127.0.0.1:1/.*: Connection refused$"):
        find_target("http://127.0.0.1:1", "m")


def test_a_certificate_authority_that_is_no_file_of_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing", encoding="utf-8")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(UsageError, match=f"--ca-file .*{name}: expected a PEM file"):
            find_target("https://127.0.0.1:1", "m", tmp_path / name)


def test_trouble_with_tls_comes_with_what_to_do() -> None:
    unknown = ssl.SSLCertVerificationError(1, "certificate verify failed")
    unknown.verify_code, unknown.verify_message = 20, "unable to get local issuer certificate"
    assert connection_trouble(unknown, "https://h").endswith("; name its authority with --ca-file")
    assert connection_trouble(ssl.SSLError(1, "wrong version"), "https://h").endswith("use http:// in the URL")
    assert connection_trouble(ConnectionResetError(), "http://h").endswith("use https:// in the URL")
