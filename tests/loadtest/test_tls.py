"""A gateway behind TLS, as behind an ingress: asked over REST and gRPC; what does not fit is said before the load."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from loadtest.errors import TargetError
from loadtest.target import find_target
from tests.support.cli import atelier
from tests.support.gateway import RunningGateway
from tests.support.tls_proxy import tls_proxy

AUTHORITY = trustme.CA()


@pytest.fixture(scope="module")
def port(gateway: RunningGateway) -> Iterator[int]:
    """Of the gateway's TLS; its certificate is for this machine."""
    with tls_proxy(urlsplit(gateway.rest_url).port or 0, AUTHORITY, "127.0.0.1", "localhost") as found:
        yield found


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """The file that names who signed."""
    path = tmp_path / "authority.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return path


def test_every_answer_is_right_over_tls(port: int, authority: Path, tmp_path: Path) -> None:
    ended = atelier(
        "loadtest", "--url", f"https://localhost:{port}", "--ca-file", str(authority), "--model", "digits",
        "--api", "grpc-predict,rest-predict", "--data", "random", "--rate", "20", "--spacing", "even",
        "--duration", "2", "--warm-up", "0", "--timeout", "60", "--slo", "errors<0.1%",
        "--report", str(tmp_path / "out"),
        timeout_s=300.0,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert (result["right_answers"], result["errors"]) == (40, {})
    assert "rows in a batch" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("scheme", "wrong"),
    [
        ("https", r"its certificate is not trusted \(unable to get local issuer certificate\); name its authority"),
        ("http", "it closes the connection; if it speaks TLS, use https:// in the URL"),
    ],
)
def test_tls_that_does_not_fit_is_said_before_the_load(port: int, scheme: str, wrong: str) -> None:
    with pytest.raises(TargetError, match=wrong):
        find_target(f"{scheme}://127.0.0.1:{port}", "digits")


def test_a_certificate_of_another_authority_is_not_trusted(port: int, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with pytest.raises(TargetError, match="its certificate is not trusted"):
        find_target(f"https://localhost:{port}", "digits", tmp_path / "other.pem")


def test_a_certificate_for_another_name_is_not_blamed_on_its_authority(
    gateway: RunningGateway, authority: Path
) -> None:
    with tls_proxy(urlsplit(gateway.rest_url).port or 0, AUTHORITY, "models.example") as port:
        wrong = r"not trusted \(Hostname mismatch, certificate is not valid for 'localhost'\)$"
        with pytest.raises(TargetError, match=wrong):
            find_target(f"https://localhost:{port}", "digits", authority)
