"""What the image's HEALTHCHECK says of a gateway."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from serving.healthcheck import why_not_in_service
from tests.support.bundles import write_bundle
from tests.support.gateway import running_gateway
from tests.support.tls_proxy import tls_proxy


def test_a_gateway_is_healthy_once_its_models_answer_with_tls_or_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle(tmp_path / "brightness" / "1")
    with running_gateway(tmp_path) as gateway:
        gateway.wait_until_ready()
        port = urlsplit(gateway.rest_url).port
        assert port is not None
        monkeypatch.setenv("ATELIER_REST_PORT", str(port))
        assert why_not_in_service() is None
        with tls_proxy(port, trustme.CA(), "somebody.example") as tls_port:
            monkeypatch.setenv("ATELIER_REST_PORT", str(tls_port))
            monkeypatch.setenv("ATELIER_TLS_CERTIFICATE_FILE", "certificate.pem")
            assert why_not_in_service() is None


def test_a_gateway_whose_models_cannot_answer_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "1" / "model.onnx").write_bytes(b"no model")
    with running_gateway(tmp_path) as gateway:
        monkeypatch.setenv("ATELIER_REST_PORT", str(urlsplit(gateway.rest_url).port))
        assert why_not_in_service() == "/in-service answered with status 503"


def test_nor_is_one_that_does_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        monkeypatch.setenv("ATELIER_REST_PORT", str(port))
        said = subprocess.run(
            [sys.executable, "-m", "serving.healthcheck"], capture_output=True, text=True, check=False
        )
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith(f"no answer from 127.0.0.1:{port}: ")
